{{/*
What is there and cannot be changed, told before Kubernetes refuses it in its own words. Where the chart is only rendered (`helm template`,
Argo CD) nothing is found, and Kubernetes refuses.
*/}}

{{/* The volumes of a StatefulSet: (list $ "node" "nodes.persistence" .Values.nodes.persistence), without the last where it is to have none. */}}
{{- define "troupe.sameVolumes" -}}
{{- $root := index . 0 -}}
{{- $name := printf "%s-%s" (include "troupe.fullname" $root) (index . 1) -}}
{{- $wanted := dict "size" "" "storageClass" "" -}}
{{- if gt (len .) 3 }}{{ $wanted = index . 3 }}{{ end -}}
{{- with lookup "apps/v1" "StatefulSet" $root.Release.Namespace $name -}}
{{- $has := dict "size" "" "storageClass" "" -}}
{{- range .spec.volumeClaimTemplates -}}
{{- $has = dict "size" .spec.resources.requests.storage "storageClass" (default "" .spec.storageClassName) -}}
{{- end -}}
{{- if or (ne (include "troupe.bytes" $has.size) (include "troupe.bytes" $wanted.size)) (ne $has.storageClass $wanted.storageClass) -}}
{{- fail (printf "%s: the StatefulSet %s has %s, and cannot change to %s; `kubectl -n %s delete statefulset %s --cascade=orphan` leaves its pods and volumes, then upgrade again; docs/deploy-kubernetes.md says under \"Change volumes\" what becomes of the volumes" (index $ 2) $name (include "troupe.volumes" $has) (include "troupe.volumes" $wanted) $root.Release.Namespace $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The members that etcd was told when its cluster was made. */}}
{{- define "troupe.sameMembers" -}}
{{- $name := printf "%s-etcd" (include "troupe.fullname" .) -}}
{{- $replicas := int .Values.etcd.replicas -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- range (index .spec.template.spec.containers 0).args -}}
{{- if hasPrefix "--initial-cluster=" . -}}
{{- $has := len (splitList "," .) -}}
{{- if ne $has $replicas -}}
{{- fail (printf "etcd.replicas: is %d, and the cluster of %s was made with %d members, which stays so; docs/deploy-kubernetes.md says under \"etcd\" how to move to another cluster" $replicas $name $has) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "troupe.volumes" -}}
{{- if .size -}}
volumes of {{ .size }} of {{ if .storageClass }}the class {{ .storageClass }}{{ else }}the default class{{ end }}
{{- else -}}
no volumes
{{- end -}}
{{- end -}}

{{/* 1Gi and 1024Mi are the same; Kubernetes writes the one where the other was given. */}}
{{- define "troupe.bytes" -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $units := dict "" 1 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mulf (default "0" $number | float64) (get $units (trimPrefix $number .)) -}}
{{- end -}}
