{{/* A stateless service: (dict "root" $ "component" "auth") */}}
{{- define "kiln.deployment" -}}
{{- $values := index .root.Values .component -}}
{{- $name := printf "%s-%s" (include "kiln.fullname" .root) .component -}}
{{- $context := merge (dict "image" (include "kiln.image" .root)) . -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels:
    {{- include "kiln.labels" . | nindent 4 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    {{- if eq .component "scheduler" }}
    # Two at once would each hear but a part of what the executors say.
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
    {{- end }}
  selector:
    matchLabels:
      {{- include "kiln.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "kiln.labels" . | nindent 8 }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "kiln.fullname" .root }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 45
      securityContext:
        {{- include "kiln.hardenedPod" . | nindent 8 }}
      {{- include "kiln.pullSecrets" .root | nindent 6 }}
      {{- include "kiln.placement" $values | nindent 6 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "kiln.selector" . | nindent 14 }}
      {{- if ne .component "web" }}
      initContainers:
        {{- include "kiln.waits" $context | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ $context.image }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [serve, --target, {{ .component }}, --listen, "0.0.0.0:8080", --metrics-listen, "0.0.0.0:9090"]
          env:
            {{- include "kiln.environment" . | nindent 12 }}
          ports:
            {{- include "kiln.ports" . | nindent 12 }}
          {{- include "kiln.probes" . | nindent 10 }}
          securityContext:
            {{- include "kiln.hardened" . | nindent 12 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: tmp, mountPath: /tmp }
            {{- if eq .component "auth" }}
            - { name: secret-keys, mountPath: /etc/kiln/secret-keys, readOnly: true }
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: { sizeLimit: 256Mi }
        {{- if eq .component "auth" }}
        - name: secret-keys
          secret:
            secretName: {{ include "kiln.secretName" .root }}
            defaultMode: 0440
            items: [{ key: auth-secret-keys, path: keys }]
        {{- end }}
{{- end -}}
