{{- define "kiln.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of a component: (dict "root" $ "component" "auth") */}}
{{- define "kiln.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: kiln
{{ include "kiln.selector" . }}
{{- end -}}

{{- define "kiln.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* repository@digest, else repository:tag */}}
{{- define "kiln.reference" -}}
{{- if .digest -}}{{ printf "%s@%s" .repository .digest }}{{- else -}}{{ printf "%s:%s" .repository .tag }}{{- end -}}
{{- end -}}

{{- define "kiln.image" -}}
{{- $repository := required "image.repository: where the build pushed the image of the services, such as ghcr.io/<owner>/kiln" .Values.image.repository -}}
{{- include "kiln.reference" (dict "repository" $repository "digest" .Values.image.digest "tag" (default .Chart.AppVersion .Values.image.tag)) -}}
{{- end -}}

{{- define "kiln.executorImage" -}}
{{- $own := .Values.executor.image -}}
{{- $repository := required "executor.image.repository: where the build pushed the executor's image, such as ghcr.io/<owner>/kiln-executor" $own.repository -}}
{{- include "kiln.reference" (dict "repository" $repository "digest" $own.digest "tag" (default .Chart.AppVersion $own.tag)) -}}
{{- end -}}

{{- define "kiln.secretName" -}}
{{- default (printf "%s-secrets" (include "kiln.fullname" .)) .Values.secrets.existingSecret -}}
{{- end -}}

{{- define "kiln.publicUrl" -}}
{{- if .Values.publicUrl -}}{{ .Values.publicUrl }}
{{- else if .Values.ingress.enabled -}}{{ ternary "https" "http" (not (empty .Values.ingress.tlsSecret)) }}://{{ .Values.ingress.host }}
{{- else if .Values.httpRoute.enabled -}}https://{{ .Values.httpRoute.host }}
{{- else -}}http://127.0.0.1:8080
{{- end -}}
{{- end -}}

{{- define "kiln.natsUrl" -}}
{{- if .Values.nats.bundled -}}nats://{{ include "kiln.fullname" . }}-nats:4222
{{- else -}}{{ required "nats.url: the address of the external NATS, since nats.bundled is false" .Values.nats.url }}
{{- end -}}
{{- end -}}

{{/* Contradictions that a schema cannot see. */}}
{{- define "kiln.check" -}}
{{- if and (not .Values.postgres.bundled) (not .Values.secrets.existingSecret) -}}
{{- fail "secrets.existingSecret: an external Postgres (postgres.bundled: false) needs its addresses in a Secret of yours" -}}
{{- end -}}
{{- if and .Values.nats.bundled (gt (int .Values.nats.replicas) 1) -}}
{{- fail "nats.replicas: the bundled NATS is one server; give nats.url of a cluster and nats.bundled: false for more copies" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: name the Gateway that takes the route" -}}
{{- end -}}
{{- if and .Values.executor.keda.enabled (not .Values.executor.keda.prometheus) -}}
{{- fail "executor.keda.prometheus: the address of the Prometheus that KEDA asks, such as http://prometheus.monitoring:9090" -}}
{{- end -}}
{{- end -}}

{{/* A settings table as variables: tables within it by name, lists as JSON, everything else as it is written. */}}
{{- define "kiln.settings" -}}
{{- range $key, $value := .settings }}
{{- $name := printf "%s__%s" $.table (upper $key) }}
{{- if kindIs "map" $value }}
{{- include "kiln.settings" (dict "table" $name "settings" $value) }}
{{- else }}
- name: {{ $name }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kiln.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ include "kiln.secretName" .root }}
      key: {{ .key }}
{{- end -}}

{{/* What a process needs to be one service: its own address of Postgres, its own account in NATS, nothing of the others. */}}
{{- define "kiln.environment" -}}
{{- $root := .root -}}{{- $component := .component -}}{{- $values := index $root.Values $component -}}
- name: KILN_LOG
  value: {{ $root.Values.logLevel }}
- name: KILN_LOG_FORMAT
  value: json
{{- if ne $component "web" }}
- name: KILN_NATS__URL
  value: {{ include "kiln.natsUrl" $root }}
- name: KILN_NATS__{{ upper $component }}__USER
  value: {{ $component }}
{{ include "kiln.fromSecret" (dict "root" $root "name" (printf "KILN_NATS__%s__PASSWORD" (upper $component)) "key" (printf "nats-%s-password" $component)) }}
{{- end }}
{{- if has $component (list "auth" "scheduler" "result") }}
{{ include "kiln.fromSecret" (dict "root" $root "name" (printf "KILN_DATABASE__%s" (upper $component)) "key" (printf "database-%s-url" $component)) }}
- name: KILN_DATABASE__MAX_CONNECTIONS
  value: {{ $root.Values.postgres.maxConnections | quote }}
{{- end }}
- name: KILN_HTTP__TRUSTED_PROXIES
  value: {{ $root.Values.http.trustedProxies | toJson | quote }}
- name: KILN_HTTP__ANONYMOUS_PER_MINUTE
  value: {{ $root.Values.http.anonymousPerMinute | int | quote }}
- name: KILN_HTTP__TENANT_PER_MINUTE
  value: {{ $root.Values.http.tenantPerMinute | int | quote }}
- name: KILN_HTTP__CALLER_PER_MINUTE
  value: {{ $root.Values.http.callerPerMinute | int | quote }}
{{- if eq $component "auth" }}
- name: KILN_AUTH__PUBLIC_URL
  value: {{ include "kiln.publicUrl" $root }}
- name: KILN_AUTH__SECRET_KEY_FILE
  value: /etc/kiln/secret-keys/keys
{{- end }}
{{- if eq $component "executor" }}
- name: KILN_EXECUTOR__DATA_DIR
  value: /var/lib/kiln/executor
- name: KILN_EXECUTOR__ENVIRONMENTS
  value: {{ $values.environments | toJson | quote }}
{{- end }}
{{- include "kiln.settings" (dict "table" (printf "KILN_%s" (upper $component)) "settings" $values.settings) }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "kiln.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "kiln.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A container of ours: not root, nothing to write on, no capability. */}}
{{- define "kiln.hardened" -}}
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end -}}

{{- define "kiln.hardenedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "kiln.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: http }
  periodSeconds: 2
  failureThreshold: 90
livenessProbe:
  httpGet: { path: /livez, port: http }
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 5
  timeoutSeconds: 3
{{- end -}}

{{- define "kiln.ports" -}}
- { name: http, containerPort: 8080 }
- { name: metrics, containerPort: 9090 }
{{- end -}}

{{/* Waits until Postgres and NATS are there and migrated, with the service's own credentials. */}}
{{- define "kiln.waits" -}}
- name: wait
  image: {{ .image }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args: [wait, --target, {{ .component }}, --within-s, "600"]
  env:
    {{- include "kiln.environment" . | nindent 4 }}
  securityContext:
    {{- include "kiln.hardened" . | nindent 4 }}
  resources:
    requests: { cpu: 10m, memory: 32Mi }
    limits: { memory: 128Mi }
{{- end -}}
