// The ValidatingWebhookConfiguration by which kube-apiserver asks the webhook (admissionregistration.k8s.io/v1, Kubernetes 1.34 and
// later). What is not asked about is decided by names and by what changes, never by a label: whoever may set labels would dodge.
import type { JsonObject } from '#core/claims.ts'
import { GUARDED_DEFINITIONS } from '#core/module/guarded_definitions.ts'
import { REVIEW_PATH } from '#core/module/review_path.ts'
import { celList } from './cel_text.ts'
import type { Cel } from './cel_text.ts'

export type WebhookConfigurationOptions = {
  readonly name: string
  /** Where the webhook answers: a Service of the cluster, or an https address that the apiserver reaches. */
  readonly target: ServiceTarget | { readonly url: string }
  /** PEM of what signed the webhook's certificate. `undefined`: somebody else writes it in. */
  readonly caPem: string | undefined
  /** `namespace/name` of the Certificate whose CA cert-manager writes in. */
  readonly certManager: string | undefined
  /** `Ignore`: while nobody answers, everything is admitted. */
  readonly failurePolicy: 'Fail' | 'Ignore'
  /** 1 to 30. */
  readonly timeoutSeconds: number
  /** Usernames that write the ledger; not asked about, or each entry would wait for one more answer. */
  readonly ledgerWriters: readonly string[]
  /** The only namespaces whose objects are asked about; absent or empty: every one. */
  readonly namespaces?: readonly string[]
}

export type ServiceTarget = {
  readonly namespace: string
  readonly service: string
  readonly port: number
  /** Absent: where the webhook listens for reviews. */
  readonly path?: string
}

export function webhookConfiguration(options: WebhookConfigurationOptions): JsonObject {
  const { name, certManager } = options
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: {
      name,
      labels: { 'app.kubernetes.io/managed-by': 'sallyport' },
      ...(certManager === undefined
        ? {}
        : { annotations: { 'cert-manager.io/inject-ca-from': certManager } }),
    },
    webhooks: asked(options).map((part) => webhook(part, options)),
  }
}

type Asked = {
  readonly name: string
  readonly rules: readonly JsonObject[]
  readonly namespaces?: readonly string[]
  readonly conditions: readonly { readonly name: string; readonly expression: Cel }[]
}

const WRITES = ['CREATE', 'UPDATE', 'DELETE']

/** Managed fields, finalizers and owners decide nothing: no rule reads them. */
const IS_CHANGED = ['spec', 'status', 'metadata.?labels', 'metadata.?annotations']
  .map((field) => (field.includes('.') ? field : `?${field}`))
  .map((field) => `object.${field} != oldObject.${field}`)
  .join(' ||\n')

function asked({ ledgerWriters, namespaces = [] }: WebhookConfigurationOptions): readonly Asked[] {
  return [
    {
      name: 'modules.webhook.sallyport.dev',
      rules: [
        rule('opendepot.defdev.io', MODULE_RESOURCES, WRITES, 'Namespaced'),
        // Of no namespace, so no selector leaves it out.
        rule('sallyport.dev', ['modulepolicies'], WRITES, 'Cluster'),
      ],
      namespaces,
      conditions: [
        { name: 'changes-something', expression: `request.operation != 'UPDATE' ||\n${IS_CHANGED}` },
      ],
    },
    {
      name: 'ledger.webhook.sallyport.dev',
      rules: [rule('sallyport.dev', ['publishedversions'], WRITES, 'Cluster')],
      conditions:
        ledgerWriters.length === 0
          ? []
          : [
              {
                name: 'not-by-the-webhook',
                expression: `!(request.userInfo.username in ${celList(ledgerWriters)})`,
              },
            ],
    },
    {
      name: 'namespaces.webhook.sallyport.dev',
      rules: [rule('', ['namespaces'], ['UPDATE', 'DELETE'], 'Cluster')],
      conditions: [
        {
          name: 'deleted-or-relabelled',
          expression:
            "request.operation == 'DELETE' || object.metadata.?labels != oldObject.metadata.?labels",
        },
      ],
    },
    {
      name: 'definitions.webhook.sallyport.dev',
      rules: [rule('apiextensions.k8s.io', ['customresourcedefinitions'], ['UPDATE', 'DELETE'], 'Cluster')],
      // Not request.name, which a deletion of many leaves out.
      conditions: [
        { name: 'ours', expression: `oldObject.metadata.name in ${celList(GUARDED_DEFINITIONS)}` },
      ],
    },
  ]
}

const MODULE_RESOURCES = [
  'modules',
  'modules/status',
  'versions',
  'versions/status',
  'depots',
  'providers',
  'providers/status',
  'groupbindings',
]

function rule(
  apiGroup: string,
  resources: readonly string[],
  operations: readonly string[],
  scope: 'Cluster' | 'Namespaced',
): JsonObject {
  return { apiGroups: [apiGroup], apiVersions: ['*'], resources, operations, scope }
}

function webhook(
  { name, rules, namespaces = [], conditions }: Asked,
  options: WebhookConfigurationOptions,
): JsonObject {
  return {
    name,
    clientConfig: clientConfig(options),
    rules,
    // Another version of the same object is turned into the one that is asked for.
    matchPolicy: 'Equivalent',
    ...(namespaces.length === 0 ? {} : { namespaceSelector: named(namespaces) }),
    ...(conditions.length === 0 ? {} : { matchConditions: conditions }),
    failurePolicy: options.failurePolicy,
    // The answer of a dry run is the same, and nothing is written before the change is.
    sideEffects: 'None',
    timeoutSeconds: options.timeoutSeconds,
    admissionReviewVersions: ['v1'],
  }
}

/** By the one label that the API server keeps itself. */
function named(namespaces: readonly string[]): JsonObject {
  const values = [...new Set(namespaces)].sort()
  return { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values }] }
}

function clientConfig({ target, caPem }: WebhookConfigurationOptions): JsonObject {
  const trusted = caPem === undefined ? {} : { caBundle: Buffer.from(caPem).toString('base64') }
  if ('url' in target) return { url: target.url, ...trusted }
  const { namespace, service, port, path = REVIEW_PATH } = target
  return { service: { namespace, name: service, port, path }, ...trusted }
}
