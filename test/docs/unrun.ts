/** The blocks of documents that the test of commands does not run: the first line of each. Why, the document says beside it. */
export const UNRUN: Readonly<Record<string, readonly string[]>> = {
  'README.md': ['make demo     # installs, builds, and shows a cluster of separate processes at work on this machine'],
  'docs/guides/agents.md': ['npm install ../troupe'],
  'docs/guides/messaging.md': [
    '{"hello": {"agent_id": "notes-1", "capabilities": ["notes"], "topics": ["orders.*"], "concurrency": 4, "grace": "10s"}}',
    '{"hello": {"resume_token": "…", "received": 17}}',
    "const agent = await connect('127.0.0.1:8080').attachAgent({",
  ],
  'docs/deploy-containers.md': [
    'make image',
    'docker build --secret id=npmrc,src=$HOME/.npmrc --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse HEAD) -t troupe/troupe:0.1.0 .',
    'docker network create troupe',
    'FROM node:24-slim AS agents',
    'docker compose up --build --wait',
    'TROUPE_OTLP_ENDPOINT=http://otel-collector:4317 docker compose --profile observability up --build --wait',
    'docker compose build',
  ],
  'docs/deploy-kubernetes.md': [
    'kubectl apply -k k8s/overlays/dev     # one of each',
    'apiVersion: kustomize.config.k8s.io/v1beta1',
    'helm install troupe k8s/chart --namespace troupe --create-namespace --set image.repository=REPOSITORY/troupe',
    'FROM REPOSITORY/troupe:0.1.0',
    'kubectl -n troupe delete statefulset troupe-etcd',
    'kubectl -n troupe create secret generic troupe-etcd-user --from-literal=username=troupe --from-file=password=password.txt',
    'helm install troupe-a k8s/chart --namespace troupe --set cluster=troupe,zone.name=a --values etcd.yaml',
    'kubectl -n troupe get pvc -l app.kubernetes.io/instance=troupe,app.kubernetes.io/component=node -o name |',
  ],
  'docs/guides/other-languages.md': [
    'python3 -m grpc_tools.protoc -Iproto --python_out=stubs --grpc_python_out=stubs proto/troupe/v1/*.proto proto/google/rpc/*.proto',
    '# Go code of troupe.v1 from proto/, by the plugins that go.mod pins. Not committed: scripts/build-go-client.mjs makes it.',
    '"""Runs a task, and tells what an error says."""',
    '// Runs a task, and tells what an error says.',
    '"""An agent of one stream: says tasks in capitals, until it is interrupted."""',
    '// An agent of one stream: says tasks in capitals, until it is interrupted.',
    '$ python3 examples/python/short_agent.py 127.0.0.1:8080 shouter',
    "TROUPE_CONFORMANCE_CLIENT='path/to/client --and its arguments' make conformance JEST_ARGS='-t \"a client in\"'",
  ],
};
