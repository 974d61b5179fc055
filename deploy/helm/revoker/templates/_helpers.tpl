{{- define "revoker.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "revoker.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "revoker.labels" -}}
{{ include "revoker.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "revoker.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Security of pod and container: the restricted Pod Security Standard, and a read-only file system. */ -}}
{{- define "revoker.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
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

{{- /* Passes on the NATS credentials of values.nats or values.setup.nats. */ -}}
{{- define "revoker.natsEnv" -}}
{{- if .secret }}
{{- if eq .kind "creds" }}
- { name: NATS_CREDS, value: /etc/revoker/nats/credential }
{{- else if eq .kind "nkey" }}
- { name: NATS_NKEY, value: /etc/revoker/nats/credential }
{{- else if eq .kind "token" }}
- name: NATS_TOKEN
  valueFrom: { secretKeyRef: { name: {{ .secret }}, key: {{ .key | default "token" | quote }} } }
{{- else }}
- { name: NATS_USER, value: {{ .user | quote }} }
- name: NATS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ .secret }}, key: {{ .key | default "password" | quote }} } }
{{- end }}
{{- end }}
{{- end }}

{{- define "revoker.natsFile" -}}
{{- if and .secret (has .kind (list "creds" "nkey")) }}yes{{ end }}
{{- end }}

{{- define "revoker.natsVolume" -}}
- name: nats
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items: [{ key: {{ .key | default (ternary "nats.creds" "nats.nk" (eq .kind "creds")) | quote }}, path: credential }]
{{- end }}

{{- define "revoker.tlsEnv" -}}
- { name: NATS_CA, value: /etc/revoker/nats-tls/ca.crt }
- { name: NATS_CERT, value: /etc/revoker/nats-tls/tls.crt }
- { name: NATS_KEY, value: /etc/revoker/nats-tls/tls.key }
{{- end }}

{{- define "revoker.tlsVolume" -}}
- name: nats-tls
  secret: { secretName: {{ .Values.nats.tlsSecret }}, defaultMode: 0440 }
{{- end }}
