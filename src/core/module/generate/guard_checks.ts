// What only kube-apiserver itself can guard: no webhook is asked about webhook configurations, and one whose Service, Secret or
// Namespace is gone is asked nothing. Deleting or weakening one of them takes an annotation that says why, and the verb `unguard`
// on it. (No policy is asked about policies: those are for roles to guard.)
import { GUARDED_DEFINITIONS } from '#core/module/guarded_definitions.ts'
import { celList, celText, toldWhere } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check, ResourceChecks } from './check.ts'

const UNGUARD_ANNOTATION = 'sallyport.dev/unguard'

export type Guarded = {
  /** Of the ValidatingWebhookConfiguration. */
  readonly configuration: string
  /** Of the webhook. */
  readonly namespace: string
  readonly service: string
  /** Of its certificate. */
  readonly secret: string
  /** Usernames that renew the certificate: they write the Secret and the CA. */
  readonly keepers: readonly string[]
}

export type GuardedResource = ResourceChecks & {
  /** Which object. */
  readonly condition: Cel
  /** '' of what no namespace holds. */
  readonly namespace: string
}

const annotation = (object: Cel): Cel =>
  `${object}.metadata.?annotations[?'${UNGUARD_ANNOTATION}'].orValue('')`

const GLASS: readonly Variable[] = [
  // In the request that weakens, so that a reason from last year weakens nothing.
  {
    name: 'isAsked',
    inline: true,
    expression: `request.operation == 'DELETE' ? ${annotation('oldObject')}.trim() != '' :
${annotation('object')}.trim() != '' && ${annotation('object')} != ${annotation('oldObject')}`,
  },
  // With its Namespace, whose deletion was judged.
  {
    name: 'isNamespaceGoing',
    inline: true,
    expression: `request.userInfo.username == 'system:serviceaccount:kube-system:namespace-controller' &&
namespaceObject.metadata.?deletionTimestamp.hasValue()`,
  },
]

const WRITTEN = ['UPDATE', 'DELETE']

// Not authorizer.requestResource, which the type checker of Kubernetes 1.36 does not know, and which names nothing when many are deleted.
const MAY_UNGUARD = `authorizer.group(request.resource.group).resource(request.resource.resource)
.namespace(request.?namespace.orValue('')).name(oldObject.metadata.name).check('unguard').allowed()`

function guardChecks(what: string, weakened: Cel, of: string): readonly Check[] {
  const way = celText(
    `leave it; to take it away or to change it: annotation ${UNGUARD_ANNOTATION}="<reason>" (of a change: a new one in the same request), and the verb unguard on it`,
  )
  const sentence = `'${what}' + (request.operation == 'DELETE' ? ' would be deleted' : ' would have ${of}') + ', and published versions be held by less'`
  const problems = (isAsked: Cel): Cel =>
    toldWhere(`(request.operation == 'DELETE' || ${weakened}) && ${isAsked}`, 'WH-M15', sentence, way)
  return [
    { rule: 'WH-M15', kind: 'forbidden', name: 'm15', problems: problems('!variables.isAsked') },
    {
      rule: 'WH-M15',
      kind: 'forbidden',
      name: 'm15Glass',
      problems: problems('variables.isAsked'),
      unless: MAY_UNGUARD,
    },
  ]
}

export function guardedResources(guarded: Guarded): readonly GuardedResource[] {
  return [registration(guarded), definitions(), namespace(guarded), service(guarded), secret(guarded)]
}

function named(name: string): Cel {
  return `oldObject.metadata.name == ${celText(name)}`
}

const bundles = (object: Cel): Cel => `${object}.?webhooks.orValue([]).map(one, one.clientConfig.?caBundle)`

function registration({ configuration, keepers }: Guarded): GuardedResource {
  const fields = [
    'name',
    'rules',
    '?failurePolicy',
    '?matchPolicy',
    '?namespaceSelector',
    '?objectSelector',
    '?matchConditions',
    '?sideEffects',
    '?timeoutSeconds',
    'admissionReviewVersions',
    'clientConfig.?url',
    'clientConfig.?service',
  ]
  const parts = fields.map((field) => `dyn(one.${field})`).join(', ')
  const rest = (object: Cel): Cel => `${object}.?webhooks.orValue([]).map(one, [${parts}])`
  const isKeeper = `request.userInfo.username in ${celList(keepers)}`
  const weakened = `(${rest('object')} != ${rest('oldObject')} ||
(!(${isKeeper}) && ${bundles('object')} != ${bundles('oldObject')}))`
  return {
    name: 'registration',
    apiGroup: 'admissionregistration.k8s.io',
    apiVersion: 'v1',
    resources: ['validatingwebhookconfigurations'],
    operations: WRITTEN,
    selectedBy: 'namespace',
    condition: named(configuration),
    namespace: '',
    variables: GLASS,
    checks: guardChecks(`the registration ${configuration}`, weakened, 'other webhooks'),
  }
}

const servedIn = (object: Cel): Cel =>
  `dyn(${object}).spec.versions.filter(one, one.name == 'v1alpha1' && one.served)`
const fieldsOf = (list: Cel): Cel =>
  `${list}[0].?schema.?openAPIV3Schema.?properties.?spec.?properties.orValue({})`
const areKept = (
  part: Cel,
): Cel => `variables.oldFields.all(field, variables.oldFields[field].?${part}.orValue({}).all(inner,
inner in variables.newFields[field].?${part}.orValue({})))`

const hasStatus = (list: Cel): Cel => `${list}[0].?subresources.?status.hasValue()`
const isConverted = (object: Cel): Cel =>
  `dyn(${object}).spec.?conversion.?strategy.orValue('None') == 'Webhook'`
const convertingClient = (object: Cel): Cel => `dyn(${object}).spec.?conversion.?webhook.?clientConfig`
/** Not its CA, which is renewed. */
const converter = (object: Cel): Cel =>
  `[${convertingClient(object)}.?url, ${convertingClient(object)}.?service]`
const listType = (list: Cel): Cel => `${list}[?field][?'x-kubernetes-list-type'].orValue('atomic')`

/** The upper levels; the webhook compares all of them, and the number of versions that depend on it. */
function definitions(): GuardedResource {
  // Without status apart, it is written with the rest; and who converts, decides what is stored.
  const weakened = `(variables.oldServed.size() > 0 && (variables.newServed.size() == 0 ||
(${hasStatus('variables.oldServed')} && !${hasStatus('variables.newServed')}) ||
(${isConverted('object')} && (!(${isConverted('oldObject')}) || ${converter('object')} != ${converter('oldObject')})) ||
!variables.oldFields.all(field, field in variables.newFields) ||
!variables.oldFields.all(field, field == 'versions' ||
${listType('variables.oldFields')} in ['atomic', ${listType('variables.newFields')}]) ||
!${areKept('properties')} || !${areKept('items.?properties')}))`
  return {
    name: 'definitions',
    apiGroup: 'apiextensions.k8s.io',
    apiVersion: 'v1',
    resources: ['customresourcedefinitions'],
    operations: WRITTEN,
    selectedBy: 'namespace',
    condition: `oldObject.metadata.name in ${celList(GUARDED_DEFINITIONS)}`,
    namespace: '',
    variables: [
      ...GLASS,
      { name: 'oldServed', expression: servedIn('oldObject') },
      { name: 'newServed', expression: `request.operation == 'DELETE' ? [] : ${servedIn('object')}` },
      { name: 'oldFields', expression: fieldsOf('variables.oldServed') },
      { name: 'newFields', expression: fieldsOf('variables.newServed') },
    ],
    checks: guardChecks('this definition', weakened, 'fewer fields'),
  }
}

function namespace({ namespace: name }: Guarded): GuardedResource {
  return {
    name: 'namespace',
    apiGroup: '',
    apiVersion: 'v1',
    resources: ['namespaces'],
    operations: ['DELETE'],
    selectedBy: 'namespace',
    condition: named(name),
    namespace: '',
    variables: GLASS,
    checks: guardChecks(`the Namespace ${name}`, 'false', 'no webhook'),
  }
}

function service({ namespace: of, service: name }: Guarded): GuardedResource {
  const weakened = 'object.?spec != oldObject.?spec'
  return {
    name: 'service',
    apiGroup: '',
    apiVersion: 'v1',
    resources: ['services'],
    operations: WRITTEN,
    selectedBy: 'namespace',
    condition: named(name),
    namespace: of,
    variables: GLASS,
    checks: unlessNamespaceGoes(guardChecks(`the Service ${name}`, weakened, 'another target')),
  }
}

function secret({ namespace: of, secret: name, keepers }: Guarded): GuardedResource {
  const isKeeper = `request.userInfo.username in ${celList(keepers)}`
  const weakened = `(!(${isKeeper}) && object.?data != oldObject.?data)`
  return {
    name: 'secret',
    apiGroup: '',
    apiVersion: 'v1',
    resources: ['secrets'],
    operations: WRITTEN,
    selectedBy: 'namespace',
    condition: named(name),
    namespace: of,
    variables: GLASS,
    checks: unlessNamespaceGoes(guardChecks(`the Secret ${name}`, weakened, 'another certificate')),
  }
}

function unlessNamespaceGoes(checks: readonly Check[]): readonly Check[] {
  return checks.map(({ problems, ...check }) =>
    Object.assign(check, { problems: `variables.isNamespaceGoing ? [] : (${problems})` }),
  )
}
