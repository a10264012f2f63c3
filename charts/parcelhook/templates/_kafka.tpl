{{/* How both programs reach Kafka: the same flags, and the files that they name. */}}

{{- define "parcelhook.kafka.flags" -}}
{{- $kafka := .Values.kafka -}}
{{- $tls := $kafka.tls -}}
{{- $sasl := $kafka.sasl -}}
{{- if not $kafka.bootstrapServers }}{{ fail "kafka.bootstrapServers: name at least one broker, as host:port" }}{{ end -}}
- --bootstrap-servers={{ join "," $kafka.bootstrapServers }}
- --prefix={{ $kafka.prefix }}
- --installation={{ $kafka.installation }}
{{- if $tls.enabled }}
- --kafka-tls-enabled=true
{{- if $tls.ca.secretName }}
- --kafka-tls-ca=/etc/parcelhook/kafka/ca.crt
{{- end }}
{{- if $tls.certificate.secretName }}
- --kafka-tls-certificate=/etc/parcelhook/kafka/tls.crt
- --kafka-tls-key=/etc/parcelhook/kafka/tls.key
{{- end }}
{{- else if or $tls.ca.secretName $tls.certificate.secretName }}
{{- fail "kafka.tls.ca and kafka.tls.certificate mean nothing while kafka.tls.enabled is false; remove them, or set it to true" }}
{{- end }}
{{- if $sasl.mechanism }}
- --kafka-sasl-mechanism={{ $sasl.mechanism }}
- {{ required "kafka.sasl.username: kafka.sasl needs a mechanism, a name and a password" $sasl.username | printf "--kafka-sasl-username=%s" | quote }}
- --kafka-sasl-password-file=/etc/parcelhook/kafka/password
{{- $_ := required "kafka.sasl.password.secretName: kafka.sasl needs a mechanism, a name and a password" $sasl.password.secretName }}
{{- else if or $sasl.username $sasl.password.secretName }}
{{- fail "kafka.sasl.username and kafka.sasl.password mean nothing without kafka.sasl.mechanism; remove them, or set it" }}
{{- end }}
{{- range $name, $value := $kafka.properties }}
- {{ printf "--kafka-properties=%s=%s" $name $value | quote }}
{{- end }}
{{- end -}}

{{/* One volume with all files of the connection; empty when there are none. */}}
{{- define "parcelhook.kafka.volume" -}}
{{- $tls := .Values.kafka.tls -}}
{{- $sasl := .Values.kafka.sasl -}}
{{- if or $tls.ca.secretName $tls.certificate.secretName $sasl.password.secretName -}}
- name: kafka
  projected:
    # 0440: the group of the pod may read, nobody else.
    defaultMode: 288
    sources:
      {{- with $tls.ca }}{{ if .secretName }}
      - secret:
          name: {{ .secretName }}
          items:
            - {key: {{ .key }}, path: ca.crt}
      {{- end }}{{ end }}
      {{- with $tls.certificate }}{{ if .secretName }}
      - secret:
          name: {{ .secretName }}
          items:
            - {key: {{ .certificateKey }}, path: tls.crt}
            - {key: {{ .privateKeyKey }}, path: tls.key}
      {{- end }}{{ end }}
      {{- with $sasl.password }}{{ if .secretName }}
      - secret:
          name: {{ .secretName }}
          items:
            - {key: {{ .key }}, path: password}
      {{- end }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "parcelhook.kafka.mount" -}}
{{- if include "parcelhook.kafka.volume" . -}}
- name: kafka
  mountPath: /etc/parcelhook/kafka
  readOnly: true
{{- end -}}
{{- end -}}
