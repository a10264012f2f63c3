{{/* Names, labels and images. Everything of a component, `operator` or `worker`, is asked for with
     (list $ "component"). */}}

{{/* What all names of the release begin with; short, so that names of pods fit in 63 characters. */}}
{{- define "parcelhook.name" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = ternary .Release.Name (printf "%s-parcelhook" .Release.Name) (contains "parcelhook" .Release.Name) -}}
{{- end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "parcelhook.component" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s" (include "parcelhook.name" $root) (index . 1) -}}
{{- end -}}

{{/* The same for what belongs to the whole cluster, where every release needs a name of its own. */}}
{{- define "parcelhook.cluster" -}}
{{- $root := index . 0 -}}
{{- printf "%s:%s" $root.Release.Namespace (include "parcelhook.component" .) -}}
{{- end -}}

{{- define "parcelhook.account" -}}
{{- $root := index . 0 -}}
{{- $account := (index $root.Values (index . 1)).serviceAccount -}}
{{- if $account.create -}}
{{- $account.name | default (include "parcelhook.component" .) -}}
{{- else -}}
{{- required (printf "%s.serviceAccount.name: name an account that exists, or let the chart create one" (index . 1)) $account.name -}}
{{- end -}}
{{- end -}}

{{/* By what a component's pods are found. Never changes: a Deployment's selector cannot. */}}
{{- define "parcelhook.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: parcelhook
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of an object of a component, or of the whole release. */}}
{{- define "parcelhook.labels" -}}
{{- $root := index . 0 -}}
{{- if eq (len .) 2 -}}
{{ include "parcelhook.selector" . }}
{{- else -}}
app.kubernetes.io/name: parcelhook
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "parcelhook.image" -}}
{{- $root := index . 0 -}}
{{- $image := (index $root.Values (index . 1)).image -}}
{{- with $root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.name -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}
