{{/* What the pods of both components have in common: who they are, what they may do, where they run. */}}

{{/* Fields of a pod's spec. */}}
{{- define "parcelhook.pod" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) -}}
serviceAccountName: {{ include "parcelhook.account" . }}
automountServiceAccountToken: true
# Variables for each Service of the namespace are of no use here.
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # May read the files that are mounted.
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
# Apart from one another, where there is room.
topologySpreadConstraints:
  {{- $selector := include "parcelhook.selector" . }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* Fields of a container. The startup probe gives a minute; the others ask only the program itself. */}}
{{- define "parcelhook.container" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) -}}
image: {{ include "parcelhook.image" . | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
ports:
  - name: admin
    containerPort: {{ $root.Values.admin.port }}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 3
resources:
  {{- toYaml $own.resources | nindent 2 }}
{{- end -}}

{{/* Flags that both programs have. */}}
{{- define "parcelhook.flags" -}}
{{- $address := .Values.admin.address -}}
{{- if contains ":" $address }}{{ $address = printf "[%s]" $address }}{{ end -}}
- --worker-group={{ .Values.workerGroup }}
{{ include "parcelhook.kafka.flags" . }}
{{- with .Values.egressAllow }}
- --egress-allow={{ join "," . }}
{{- end }}
- --admin-listen={{ $address }}:{{ .Values.admin.port }}
- --log-format={{ .Values.log.format }}
- {{ printf "--log-level=%s" .Values.log.level | quote }}
{{- end -}}
