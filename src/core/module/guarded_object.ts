// The objects around Modules that rules guard, as the rules read them: the ledger's entries, policies, Namespaces and
// CustomResourceDefinitions.
import { readMeta } from './module_object.ts'
import type { ObjectMeta } from './module_object.ts'
import type { ModulePolicySpec } from './module_policy.ts'
import { readModulePolicy } from './read_module_policy.ts'
import { reading } from './reading.ts'
import type { FieldReader, Reading } from './reading.ts'

/** PublishedVersion of sallyport.dev/v1alpha1. */
export type PublishedVersionObject = {
  readonly kind: 'PublishedVersion'
  readonly meta: ObjectMeta
  /** Of the Module or Provider. */
  readonly module: { readonly namespace: string; readonly name: string }
  readonly version: string
  /** For comparing only. */
  readonly spec: unknown
}

export type PolicyObject = {
  readonly kind: 'ModulePolicy'
  readonly meta: ObjectMeta
  /** One that cannot be read is there too, since whoever changes it may be mending it. */
  readonly spec: Reading<ModulePolicySpec>
}

export type NamespaceObject = { readonly kind: 'Namespace'; readonly meta: ObjectMeta }

/** CustomResourceDefinition of apiextensions.k8s.io/v1. */
export type DefinitionObject = {
  readonly kind: 'CustomResourceDefinition'
  readonly meta: ObjectMeta
  readonly group: string
  readonly scope: string
  /** The webhook whose answer is what is stored and read: its address, or its Service; `undefined`: nobody converts. */
  readonly converter: string | undefined
  readonly versions: readonly DefinitionVersion[]
}

export type DefinitionVersion = {
  readonly name: string
  readonly served: boolean
  /** Status is a subresource, so that whoever writes the object does not write it. */
  readonly hasStatus: boolean
  readonly schema: unknown
}

export function readPublishedVersion(value: unknown): Reading<PublishedVersionObject> {
  return reading(value, (root) => {
    const spec = root.mapping('spec')
    const module = spec.mapping('module')
    return {
      kind: 'PublishedVersion',
      meta: readMeta(root.mapping('metadata')),
      module: { namespace: module.text('namespace'), name: module.text('name') },
      version: spec.text('version'),
      spec: root.raw('spec'),
    }
  })
}

export function readPolicyObject(value: unknown): Reading<PolicyObject> {
  return reading(value, (root) => {
    const policy = readModulePolicy(value)
    return {
      kind: 'ModulePolicy',
      meta: readMeta(root.mapping('metadata')),
      spec: policy.ok ? { ok: true, value: policy.value.spec } : policy,
    }
  })
}

export function readNamespace(value: unknown): Reading<NamespaceObject> {
  return reading(value, (root) => ({ kind: 'Namespace', meta: readMeta(root.mapping('metadata')) }))
}

export function readDefinition(value: unknown): Reading<DefinitionObject> {
  return reading(value, (root) => {
    const spec = root.mapping('spec')
    return {
      kind: 'CustomResourceDefinition',
      meta: readMeta(root.mapping('metadata')),
      group: spec.text('group'),
      scope: spec.text('scope'),
      converter: readConverter(spec.mapping('conversion')),
      versions: spec.mappings('versions').map((version) => ({
        name: version.text('name'),
        served: version.flag('served'),
        hasStatus: version.mapping('subresources').has('status'),
        schema: version.raw('schema'),
      })),
    }
  })
}

/** Without its CA, which is renewed. */
function readConverter(conversion: FieldReader): string | undefined {
  if (conversion.text('strategy') !== 'Webhook') return undefined
  const client = conversion.mapping('webhook').mapping('clientConfig')
  const service = client.mapping('service')
  const path = service.text('path').replace(/^\/?/, '/')
  const port = service.integer('port') ?? 443
  const url = client.text('url')
  return url === '' ? `${service.text('namespace')}/${service.text('name')}:${port}${path}` : url
}
