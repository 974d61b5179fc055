{{- define "revoker.chart" -}}
{{ .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{- /* The name of every object. It is short enough for a suffix. A Service takes fewer names than Helm takes for a release. */ -}}
{{- define "revoker.name" -}}
{{- $chart := include "revoker.chart" . }}
{{- $name := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name)) | trunc 50 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}{{ fail (printf "fullnameOverride: set it, because no Service can be named %s. A name begins with a letter, and has letters, digits and hyphens" $name) }}{{ end }}
{{- $name }}
{{- end }}

{{- define "revoker.selector" -}}
app.kubernetes.io/name: {{ include "revoker.chart" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "revoker.labels" -}}
{{ include "revoker.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | trimAll "-._" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Name, labels and annotations of an object. It takes root, and may take suffix, labels and annotations. */ -}}
{{- define "revoker.metadata" -}}
name: {{ print (include "revoker.name" .root) (get . "suffix") | quote }}
labels: {{- merge (include "revoker.labels" .root | fromYaml) (get . "labels" | default dict) | toYaml | nindent 2 }}
{{- with merge (dict) (get . "annotations" | default dict) .root.Values.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The labels of a pod. It takes root, component, and the labels that values add. None of them replaces one of the chart's. */ -}}
{{- define "revoker.podLabels" -}}
{{- merge (dict "app.kubernetes.io/component" .component) (include "revoker.labels" .root | fromYaml) (.labels | default dict) | toYaml }}
{{- end }}

{{- define "revoker.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "revoker.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "revoker.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- /* A variable's value as text. Helm reads numbers as floats, and would write 1000000 as 1e+06. */ -}}
{{- define "revoker.value" -}}
{{- if kindIs "string" . }}{{ . | quote }}{{ else }}{{ toJson . | quote }}{{ end }}
{{- end }}

{{- /* What the pods of workers and of the setup job share. */ -}}
{{- define "revoker.pod" -}}
automountServiceAccountToken: false
# revoker needs none of the variables that Kubernetes sets for Services, and a namespace may have hundreds.
enableServiceLinks: false
# With the container's, the restricted Pod Security Standard and a read-only file system.
securityContext:
  runAsNonRoot: true
  seccompProfile: { type: RuntimeDefault }
  {{- with .Values.podSecurityContext }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "revoker.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- /* The resources of a container. Unless values give a memory limit, it holds all calls in flight:
what cmd/revoker/memory/memory.go says that they need, and a little more. */ -}}
{{- define "revoker.resources" -}}
{{- $resources := deepCopy (.Values.resources | default dict) }}
{{- $limits := get $resources "limits" }}
{{- if and (kindIs "map" $limits) (not (get $limits "memory")) }}
{{- $calls := get .Values.config "REVOKER_CONCURRENCY" | default 64 | int }}
{{- $_ := set $limits "memory" (printf "%dMi" (max 192 (add 128 (div (mul 36 $calls) 1024)))) }}
{{- end }}
{{- toYaml $resources }}
{{- end }}
