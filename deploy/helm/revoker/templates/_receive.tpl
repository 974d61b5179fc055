{{- /* Name, labels and annotations of an object of the receivers. It takes root, and may take annotations. */ -}}
{{- define "revoker.receiveMetadata" -}}
{{- include "revoker.metadata" (dict "root" .root "suffix" "-receive" "annotations" (get . "annotations")) }}
{{- end }}

{{- define "revoker.receiveSelector" -}}
{{ include "revoker.selector" . }}
app.kubernetes.io/component: receive
{{- end }}

{{- /* The ports of the issuers, as a JSON array. */ -}}
{{- define "revoker.issuerPorts" -}}
{{- $ports := list }}
{{- range .Values.receive.issuers }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" (regexFind "^[a-z]+://[^/]+" .issuer)) | default "443" }}
{{- $ports = append $ports (int $port) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}
