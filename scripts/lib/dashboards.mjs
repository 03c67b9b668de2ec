// What the Grafana dashboards show, as rows of panels: title, unit, and queries as [legend, expression].
// `node scripts/generate-monitoring.mjs` makes k8s/dashboards/ of it.

const RATE = '$__rate_interval';
const CLUSTER = 'namespace=~"$namespace", troupe_cluster=~"$cluster"';
const HERE = `${CLUSTER}, instance=~"$instance"`;
const rate = (metric, by, labels = CLUSTER) => `sum by (${by}) (rate(${metric}{${labels}}[${RATE}]))`;
const quantile = (q, metric, by, labels = CLUSTER) =>
  `histogram_quantile(${q}, sum by (${by === '' ? 'le' : `${by}, le`}) (rate(${metric}_bucket{${labels}}[${RATE}])))`;
const failed = 'code=~"UNAVAILABLE|INTERNAL|UNKNOWN|DATA_LOSS|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED"';

const stat = (title, unit, expr, thresholds) => ({ type: 'stat', title, unit, queries: [['', expr]], thresholds });
const graph = (title, unit, ...queries) => ({ type: 'timeseries', title, unit, queries });

export const DASHBOARDS = [
  {
    file: 'overview.json',
    uid: 'troupe-overview',
    title: 'Troupe / Overview',
    description: 'Rate, errors and duration of tasks and calls; what is in flight and what waits.',
    rows: [
      [
        'Now',
        stat('Tasks per second', 'reqps', `sum(rate(troupe_task_duration_seconds_count{${CLUSTER}}[${RATE}]))`),
        stat(
          'Tasks that fail',
          'percentunit',
          `(sum(rate(troupe_task_duration_seconds_count{${CLUSTER}, ${failed}}[${RATE}])) or vector(0)) / sum(rate(troupe_task_duration_seconds_count{${CLUSTER}}[${RATE}]))`,
          [0.001, 0.0144],
        ),
        stat('Tasks under way', 'short', `sum(troupe_task_in_flight{${CLUSTER}})`),
        stat('Nodes', 'short', `count(troupe_build_info{${CLUSTER}, role="node"})`),
        stat('Agents', 'short', `sum(troupe_node_agents{${CLUSTER}})`),
        stat('Attached programs', 'short', `sum(troupe_sessions{${CLUSTER}})`),
        stat('Processes that do not answer', 'short', `count(up{${CLUSTER}, job="troupe"} == 0) or vector(0)`, [1, 2]),
        stat('Registries that lead', 'short', `sum(troupe_registry_leading{${CLUSTER}})`),
      ],
      [
        'Tasks, by capability',
        graph('Rate', 'reqps', ['{{capability}}', rate('troupe_task_duration_seconds_count', 'capability')]),
        graph('Errors, by code', 'reqps', [
          '{{capability}} {{code}}',
          rate('troupe_task_duration_seconds_count', 'capability, code', `${CLUSTER}, code!="OK"`),
        ]),
        graph(
          'Duration',
          's',
          ['{{capability}} 50 %', quantile(0.5, 'troupe_task_duration_seconds', 'capability')],
          ['{{capability}} 99 %', quantile(0.99, 'troupe_task_duration_seconds', 'capability')],
        ),
      ],
      [
        'Calls, by method',
        graph('Rate', 'reqps', ['{{method}}', rate('troupe_rpc_server_duration_seconds_count', 'method')]),
        graph('Errors, by code', 'reqps', [
          '{{method}} {{code}}',
          rate('troupe_rpc_server_duration_seconds_count', 'method, code', `${CLUSTER}, code!="OK"`),
        ]),
        graph('Duration, 99 %', 's', ['{{method}}', quantile(0.99, 'troupe_rpc_server_duration_seconds', 'method')]),
        graph('Streams that are open', 'short', ['{{method}}', `sum by (method) (troupe_rpc_server_streams{${CLUSTER}})`]),
        graph('Streams that ended', 'reqps', [
          '{{method}} {{code}}',
          rate('troupe_rpc_server_streams_ended_total', 'method, code'),
        ]),
      ],
      [
        'In flight and waiting',
        graph(
          'Tasks',
          'short',
          ['under way at routers', `sum(troupe_task_in_flight{${CLUSTER}})`],
          ['worked on by agents', `sum(troupe_node_tasks_in_flight{${CLUSTER}})`],
          ['waiting in mailboxes', `sum(troupe_node_tasks_queued{${CLUSTER}})`],
        ),
        graph('Messages in mailboxes', 'short', ['all nodes', `sum(troupe_mailbox_messages{${CLUSTER}})`]),
        graph('Tries on agents, by outcome', 'reqps', ['{{outcome}}', rate('troupe_task_attempts_total', 'outcome')]),
        graph('Tasks refused by routers', 'reqps', ['{{reason}}', rate('troupe_task_refused_total', 'reason')]),
        graph('Tasks refused by nodes', 'reqps', ['{{reason}}', rate('troupe_execution_refused_total', 'reason')]),
      ],
    ],
  },
  {
    file: 'nodes.json',
    uid: 'troupe-nodes',
    title: 'Troupe / Nodes, links, messages',
    description: 'What nodes and gateways do, one by one: agents, membership, health, links, messages, the process itself.',
    instances: `label_values(troupe_view_age_seconds{${CLUSTER}}, instance)`,
    rows: [
      [
        'Agents',
        graph('Agents, by kind', 'short', ['{{kind}}', `sum by (kind) (troupe_node_agents{${HERE}})`]),
        graph('Tasks worked on', 'short', ['{{instance}}', `troupe_node_tasks_in_flight{${HERE}}`]),
        graph('Tasks waiting', 'short', ['{{instance}}', `troupe_node_tasks_queued{${HERE}}`]),
        graph('Executions, by code', 'reqps', [
          '{{kind}} {{code}}',
          rate('troupe_execution_duration_seconds_count', 'kind, code', HERE),
        ]),
        graph('Duration of executions, 99 %', 's', [
          '{{kind}}',
          quantile(0.99, 'troupe_execution_duration_seconds', 'kind', HERE),
        ]),
        graph('Wait in the mailbox, 99 %', 's', ['{{kind}}', quantile(0.99, 'troupe_execution_wait_seconds', 'kind', HERE)]),
      ],
      [
        'Membership and health',
        graph('Age of the lease, as a share of its life', 'percentunit', [
          '{{instance}}',
          `troupe_lease_age_seconds{${HERE}} / troupe_lease_ttl_seconds{${HERE}}`,
        ]),
        graph('Leases lost', 'short', ['{{instance}}', `increase(troupe_lease_lost_total{${HERE}}[${RATE}])`]),
        graph('Age of the view', 's', ['{{instance}}', `troupe_view_age_seconds{${HERE}}`]),
        graph('Instances in the view', 'short', ['{{service}}', `max by (service) (troupe_view_instances{${HERE}})`]),
        graph('Endpoints, by state', 'short', ['{{service}} {{state}}', `max by (service, state) (troupe_endpoints{${HERE}})`]),
        graph(
          'Transitions',
          'ops',
          ['circuit {{to}}', rate('troupe_circuit_transitions_total', 'to', HERE)],
          ['health {{to}}', rate('troupe_health_transitions_total', 'to', HERE)],
        ),
      ],
      [
        'Links',
        graph('Links, by state', 'short', ['{{state}}', `sum by (state) (troupe_links{${HERE}})`]),
        graph(
          'Bytes',
          'Bps',
          ['{{instance}} sent', `rate(troupe_link_sent_bytes_total{${HERE}}[${RATE}])`],
          ['{{instance}} received', `rate(troupe_link_received_bytes_total{${HERE}}[${RATE}])`],
        ),
        graph(
          'Envelopes',
          'ops',
          ['{{instance}} sent', `rate(troupe_link_sent_envelopes_total{${HERE}}[${RATE}])`],
          ['{{instance}} received', `rate(troupe_link_received_envelopes_total{${HERE}}[${RATE}])`],
        ),
        graph('Waiting to be sent', 'bytes', ['{{instance}}', `troupe_link_queued_bytes{${HERE}}`]),
      ],
      [
        'Messages',
        graph('Messages, by kind and outcome', 'ops', [
          '{{kind}} {{outcome}}',
          rate('troupe_messages_total', 'kind, outcome', HERE),
        ]),
        graph('Waiting in mailboxes', 'short', ['{{instance}}', `troupe_mailbox_messages{${HERE}}`]),
        graph('Dead letters, by reason', 'ops', ['{{reason}}', rate('troupe_dead_letters_total', 'reason', HERE)]),
        graph('Attached programs', 'short', ['{{instance}} {{kind}}', `troupe_sessions{${HERE}}`]),
        graph('Topic patterns subscribed to', 'short', ['{{instance}}', `troupe_topics{${HERE}}`]),
      ],
      [
        'Process',
        graph('CPU', 'percentunit', ['{{instance}}', `rate(process_cpu_seconds_total{${HERE}, job="troupe"}[${RATE}])`]),
        graph(
          'Memory',
          'bytes',
          ['{{instance}}', `process_resident_memory_bytes{${HERE}, job="troupe"}`],
          ['{{instance}} heap', `troupe_process_heap_bytes{${HERE}}`],
        ),
        graph('Delay of the event loop, 99 %', 's', ['{{instance}}', `troupe_event_loop_delay_seconds{${HERE}}`]),
      ],
    ],
  },
  {
    file: 'registry.json',
    uid: 'troupe-registry',
    title: 'Troupe / Registry and store',
    description: 'Registries, what they know, and the store behind them.',
    instances: `label_values(troupe_registry_leading{${CLUSTER}}, instance)`,
    rows: [
      [
        'Registries',
        graph('Who leads', 'short', ['{{instance}}', `troupe_registry_leading{${HERE}}`]),
        graph('Age of the mirror of the store', 's', ['{{instance}}', `troupe_registry_mirror_age_seconds{${HERE}}`]),
        graph('Instances, by service', 'short', ['{{service}}', `max by (service) (troupe_registry_instances{${HERE}})`]),
        graph('Watches served', 'short', ['{{instance}}', `troupe_registry_watchers{${HERE}}`]),
      ],
      [
        'Store',
        graph('Operations', 'ops', ['{{operation}}', rate('troupe_store_duration_seconds_count', 'operation', HERE)]),
        graph('Errors, by code', 'ops', [
          '{{operation}} {{code}}',
          rate('troupe_store_duration_seconds_count', 'operation, code', `${HERE}, code!="OK"`),
        ]),
        graph(
          'Duration',
          's',
          ['{{operation}} 50 %', quantile(0.5, 'troupe_store_duration_seconds', 'operation', HERE)],
          ['{{operation}} 99 %', quantile(0.99, 'troupe_store_duration_seconds', 'operation', HERE)],
        ),
      ],
      [
        'Calls and process',
        graph('Calls', 'reqps', ['{{method}}', rate('troupe_rpc_server_duration_seconds_count', 'method', HERE)]),
        graph('Duration of calls, 99 %', 's', [
          '{{method}}',
          quantile(0.99, 'troupe_rpc_server_duration_seconds', 'method', HERE),
        ]),
        graph('CPU', 'percentunit', ['{{instance}}', `rate(process_cpu_seconds_total{${HERE}, job="troupe"}[${RATE}])`]),
        graph('Memory', 'bytes', ['{{instance}}', `process_resident_memory_bytes{${HERE}, job="troupe"}`]),
        graph('Delay of the event loop, 99 %', 's', ['{{instance}}', `troupe_event_loop_delay_seconds{${HERE}}`]),
      ],
    ],
  },
];
