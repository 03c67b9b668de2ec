{{/* What the names of all objects begin with. Kubernetes takes no Service whose name begins with a digit, which a release's may. */}}
{{- define "troupe.fullname" -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]" $full) -}}
{{- fail (printf "fullnameOverride: is empty, and names would begin with a digit, as the release's does (%s), which Kubernetes takes for no Service; give one that begins with a letter" .Release.Name) -}}
{{- end -}}
{{- $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The ports that a network policy needs for a list of endpoints: (list .endpoints .port), as entries of `ports`. */}}
{{- define "troupe.portsOf" -}}
{{- $ports := list -}}
{{- range index . 0 -}}
{{- $ports = append $ports (default "443" (regexFind "[0-9]+$" (regexFind ":[0-9]+$" (trimSuffix "/" .)))) -}}
{{- end -}}
{{- with index . 1 -}}{{- $ports = list . -}}{{- end -}}
{{- range $ports | uniq }}
- protocol: TCP
  port: {{ . }}
{{- end }}
{{- end -}}

{{/* What selects pods of all kinds, or with (list $ "registry") of one. Never changes in the life of a release. */}}
{{- define "troupe.selector" -}}
app.kubernetes.io/name: troupe
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "troupe.selectorOf" -}}
{{ include "troupe.selector" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* What selects pods that are of the same cluster, of this release or of another: (list $ "node"). */}}
{{- define "troupe.clusterOf" -}}
app.kubernetes.io/name: troupe
app.kubernetes.io/component: {{ index . 1 }}
{{ include "troupe.clusterLabel" (index . 0) }}
{{- end -}}
{{- define "troupe.clusterLabel" -}}
troupe.dev/cluster: {{ default .Release.Name .Values.cluster | quote }}
{{- end -}}

{{- define "troupe.commonLabels" -}}
app.kubernetes.io/part-of: troupe
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
{{- define "troupe.labels" -}}
{{ include "troupe.selector" . }}
{{ include "troupe.commonLabels" . }}
{{- end -}}
{{- define "troupe.labelsOf" -}}
{{ include "troupe.selectorOf" . }}
{{ include "troupe.commonLabels" (index . 0) }}
{{- end -}}

{{- define "troupe.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default (index . 1) $image.tag }}
{{- end -}}
{{- end -}}

{{/* What a pod carries beside its spec: (list $ "registry" .Values.registry). */}}
{{- define "troupe.podMetadata" -}}
labels:
  {{- include "troupe.selectorOf" . | nindent 2 }}
  {{- include "troupe.clusterLabel" (index . 0) | nindent 2 }}
{{- with (index . 2).podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Of a Deployment. Where no two of its pods may share a machine there may be no room for one more, so that one ends first. */}}
{{- define "troupe.strategy" -}}
strategy:
  type: RollingUpdate
  rollingUpdate:
    {{- if eq .antiAffinity "required" }}
    maxSurge: 0
    maxUnavailable: 1
    {{- else }}
    maxSurge: 1
    maxUnavailable: 0
    {{- end }}
{{- end -}}

{{/* The pod's side of what the restricted pod security standard asks for, and of where it runs: (list $ "registry" .Values.registry). */}}
{{- define "troupe.podSpec" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index . 2 -}}
{{- /* Pods that come before those go in whose place they are. */ -}}
{{- $surges := and (has $component (list "registry" "gateway")) (ne $values.antiAffinity "required") -}}
serviceAccountName: {{ include "troupe.fullname" $root }}-{{ $component }}
automountServiceAccountToken: false
# Or Kubernetes adds variables such as TROUPE_REGISTRY_PORT and ETCD_PORT for each Service, which look like settings.
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
affinity:
  podAntiAffinity:
    {{- if eq $values.antiAffinity "required" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "troupe.selectorOf" (list $root $component) | nindent 12 }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "troupe.selectorOf" (list $root $component) | nindent 14 }}
    {{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: {{ $root.Values.zoneSpread }}
    {{- if $surges }}
    # Or pods that are about to go would count, and those that stay be spread unevenly.
    matchLabelKeys: [pod-template-hash]
    {{- end }}
    labelSelector:
      matchLabels:
        {{- include "troupe.selectorOf" (list $root $component) | nindent 8 }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "troupe.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Of every role. Settings are environment variables, as `troupe <role> --help` names them. */}}
{{- define "troupe.env" -}}
- name: TROUPE_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: TROUPE_HOST
  value: 0.0.0.0
- name: TROUPE_OPS_PORT
  value: '9464'
- name: TROUPE_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- if not .Values.telemetry.metrics }}
- name: TROUPE_NO_METRICS
  value: 'true'
{{- end }}
{{- with .Values.telemetry.otlp }}
{{- if .endpoint }}
- name: TROUPE_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: TROUPE_TRACE_RATIO
  value: {{ .traceRatio | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of nodes and gateways. */}}
{{- define "troupe.memberEnv" -}}
# The Service is headless: its name stands for all registries that are ready.
- name: TROUPE_REGISTRY
  value: {{ include "troupe.fullname" . }}-registry:8000
- name: TROUPE_ADVERTISE
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: TROUPE_LEASE_TTL
  value: {{ .Values.leaseTtlSeconds | quote }}
{{- if .Values.zone.fromPodLabel }}
- name: TROUPE_ZONE
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['topology.kubernetes.io/zone']
{{- else if .Values.zone.name }}
- name: TROUPE_ZONE
  value: {{ .Values.zone.name | quote }}
{{- end }}
{{- end -}}

{{/*
The health service says SERVING only when the process is ready: a node that waits for its registry is not. A restart would not help it,
so only readiness asks that; startup and liveness ask the operations port whether the process answers at all.
*/}}
{{- define "troupe.probes" -}}
startupProbe:
  httpGet:
    path: /health
    port: ops
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet:
    path: /health
    port: ops
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  grpc:
    port: {{ . }}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}
