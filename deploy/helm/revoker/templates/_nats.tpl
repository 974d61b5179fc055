{{- /* Passes on the NATS credentials of values.nats or values.setup.nats. */ -}}
{{- define "revoker.natsEnv" -}}
{{- if .secret }}
{{- if eq .kind "creds" }}
- { name: NATS_CREDS, value: /etc/revoker/nats/credential }
{{- else if eq .kind "nkey" }}
- { name: NATS_NKEY, value: /etc/revoker/nats/credential }
{{- else if eq .kind "token" }}
- name: NATS_TOKEN
  valueFrom: { secretKeyRef: { name: {{ .secret | quote }}, key: {{ .key | default "token" | quote }} } }
{{- else }}
- { name: NATS_USER, value: {{ required "nats.user: name the user, because nats.kind is user; so it is with setup.nats and receive.nats" .user | quote }} }
- name: NATS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ .secret | quote }}, key: {{ .key | default "password" | quote }} } }
{{- end }}
{{- end }}
{{- end }}

{{- define "revoker.natsFile" -}}
{{- if and .secret (has .kind (list "creds" "nkey")) }}yes{{ end }}
{{- end }}

{{- define "revoker.natsVolume" -}}
- name: nats
  secret:
    secretName: {{ .secret | quote }}
    defaultMode: 0440
    items: [{ key: {{ .key | default (ternary "nats.creds" "nats.nk" (eq .kind "creds")) | quote }}, path: credential }]
{{- end }}

{{- /* Only the keys that the Secret has: a private CA needs no client certificate, and a client certificate no private CA. */ -}}
{{- define "revoker.tlsEnv" -}}
{{- if .tlsKeys.ca }}
- { name: NATS_CA, value: /etc/revoker/nats-tls/ca.crt }
{{- end }}
{{- if .tlsKeys.cert }}
- { name: NATS_CERT, value: /etc/revoker/nats-tls/tls.crt }
- { name: NATS_KEY, value: /etc/revoker/nats-tls/tls.key }
{{- end }}
{{- end }}

{{- define "revoker.tlsVolume" -}}
{{- if ne (empty .tlsKeys.cert) (empty .tlsKeys.key) }}{{ fail "nats.tlsKeys: set both cert and key, or neither" }}{{ end }}
{{- if not (or .tlsKeys.ca .tlsKeys.cert) }}{{ fail "nats.tlsKeys: name a key of nats.tlsSecret" }}{{ end -}}
- name: nats-tls
  secret:
    secretName: {{ .tlsSecret | quote }}
    defaultMode: 0440
    items:
      {{- if .tlsKeys.ca }}
      - { key: {{ .tlsKeys.ca | quote }}, path: ca.crt }
      {{- end }}
      {{- if .tlsKeys.cert }}
      - { key: {{ .tlsKeys.cert | quote }}, path: tls.crt }
      - { key: {{ .tlsKeys.key | quote }}, path: tls.key }
      {{- end }}
{{- end }}

{{- /* The ports of NATS_URL, as a JSON array. */ -}}
{{- define "revoker.natsPorts" -}}
{{- $ports := list }}
{{- range splitList "," (get .Values.config "NATS_URL" | default "nats://127.0.0.1:4222") }}
{{- $own := get (dict "ws" "80" "wss" "443") (regexFind "^[a-z]+:" (trim .) | trimSuffix ":") | default "4222" }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" (trimSuffix "/" (trim .))) | default $own }}
{{- $ports = append $ports (int $port) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}

{{- /* Egress rules: DNS, ports, and what the values add. */ -}}
{{- define "revoker.egress" -}}
- ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
- ports:
    {{- range .ports }}
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
{{- with .root.Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The consumers of the lanes, as a JSON array. An empty REVOKER_BULK_SUBJECT leaves one lane. */ -}}
{{- define "revoker.consumers" -}}
{{- $live := get .Values.config "REVOKER_CONSUMER" | default "revoker" }}
{{- $bulk := get .Values.config "REVOKER_BULK_CONSUMER" | default (printf "%s-bulk" $live) }}
{{- $one := and (hasKey .Values.config "REVOKER_BULK_SUBJECT") (eq (get .Values.config "REVOKER_BULK_SUBJECT" | toString) "") }}
{{- ternary (list $live) (list $live $bulk) $one | toJson }}
{{- end }}
