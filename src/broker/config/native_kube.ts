// The section `kube`: what its values mean together with audiences and clients, for sallyport.yaml and for the overlay
// of a Dex configuration alike.
import type { Audience } from '#core/audience.ts'
import type { Client } from '#core/client.ts'
import { reservedPrefix } from '#core/policy/outputs.ts'
import type { YamlPath } from '#platform/config/yaml_document.ts'
import type { KubeApiserverConfig, KubeConfig, ReviewClientConfig } from './broker_config.ts'
import { KUBE_DEFAULTS, KubeSchema } from './kube_schema.ts'
import type { KubeApiserverFile, ReviewClientFile } from './kube_schema.ts'
import {
  absolute,
  checkPrivate,
  checkReference,
  readCertificates,
  readNamedFile,
  reportError,
  section,
} from './load_context.ts'
import type { LoadContext } from './load_context.ts'

/** Ids of everything that is written down, and the entries that are whole. */
export type KubeWorld = {
  readonly audienceIds: ReadonlySet<string>
  readonly clientIds: ReadonlySet<string>
  readonly audiences: readonly Audience[]
  readonly clients: readonly Client[]
}

export function readKube(context: LoadContext, world: KubeWorld): KubeConfig {
  const kube = section(context, 'kube', KubeSchema)
  const listed = kube?.apiservers ?? []
  const clients = kube?.tokenReview?.clients ?? []
  const path = ['kube', 'tokenReview', 'clients']
  checkTwice(
    context,
    listed.map(({ url }, index) => [['kube', 'apiservers', index, 'url'], originOf(url)]),
  )
  checkTwice(
    context,
    clients.map(({ id }, index) => [[...path, index, 'id'], id]),
  )
  return {
    apiservers: listed.map((file, index) =>
      readApiserver(context, ['kube', 'apiservers', index], file, world),
    ),
    reviewClients: clients.map((file, index) => readReviewClient(context, [...path, index], file, world)),
  }
}

function readApiserver(
  context: LoadContext,
  path: YamlPath,
  file: KubeApiserverFile,
  world: KubeWorld,
): KubeApiserverConfig {
  checkAudience(context, [...path, 'audience'], file.audience, world)
  checkAddress(context, [...path, 'url'], file.url)
  const { caFile, metricsTokenFile } = file
  if (caFile !== undefined) readCertificates(context, [...path, 'caFile'], caFile)
  if (metricsTokenFile !== undefined) {
    const at = [...path, 'metricsTokenFile']
    readNamedFile(context, at, metricsTokenFile)
    checkPrivate(context, at, metricsTokenFile)
  }
  return {
    url: originOf(file.url),
    audience: file.audience,
    caFile: absoluteOf(context, caFile),
    metricsTokenFile: absoluteOf(context, metricsTokenFile),
  }
}

function readReviewClient(
  context: LoadContext,
  path: YamlPath,
  file: ReviewClientFile,
  world: KubeWorld,
): ReviewClientConfig {
  checkAudience(context, [...path, 'audience'], file.audience, world)
  checkClient(context, [...path, 'id'], file.id, world)
  for (const key of ['usernamePrefix', 'groupsPrefix'] as const) {
    const reserved = reservedPrefix(file[key] ?? '')
    if (reserved === undefined) continue
    const message = `every name would begin with the reserved ${JSON.stringify(reserved)}`
    const wayOut = `write a prefix of your own, as ${JSON.stringify(KUBE_DEFAULTS[key])}`
    reportError(context, { code: 'kube_prefix_reserved', path: [...path, key], message, wayOut })
  }
  return {
    id: file.id,
    audience: file.audience,
    usernamePrefix: file.usernamePrefix ?? KUBE_DEFAULTS.usernamePrefix,
    groupsPrefix: file.groupsPrefix ?? KUBE_DEFAULTS.groupsPrefix,
  }
}

/** A token of another profile is none for a kube-apiserver: it could be for several places at once. */
function checkAudience(context: LoadContext, path: YamlPath, id: string, world: KubeWorld): void {
  if (!checkReference(context, path, { name: id, kind: 'audience', known: world.audienceIds })) return
  const audience = world.audiences.find((one) => one.id === id)
  if (audience === undefined || audience.profile === 'kubernetes') return
  const message = `audience ${JSON.stringify(id)} is of profile ${audience.profile}`
  const wayOut = 'give it profile: kubernetes, or name the audience of the cluster'
  reportError(context, { code: 'kube_audience_unfit', path, message, wayOut })
}

/** kube-apiserver sends what its kubeconfig says by HTTP Basic (RFC 7617), so an id with a colon would end early. */
function checkClient(context: LoadContext, path: YamlPath, id: string, world: KubeWorld): void {
  if (!checkReference(context, path, { name: id, kind: 'client', known: world.clientIds })) return
  const client = world.clients.find((one) => one.id === id)
  const report = (message: string, wayOut: string): void =>
    reportError(context, { code: 'kube_client_unfit', path, message, wayOut })
  if (client !== undefined && client.auth.method !== 'client_secret') {
    const message = `client ${JSON.stringify(id)} has no secret, and a kube-apiserver can send nothing else`
    return report(message, 'make a client with method: client_secret for each cluster')
  }
  if (id.includes(':'))
    report('HTTP Basic ends a user name at its first colon', 'choose an id without a colon')
}

function checkAddress(context: LoadContext, path: YamlPath, text: string): void {
  const url = URL.parse(text)
  if (url === null) return
  if (url.protocol !== 'https:') {
    const message = 'a token would travel in the open, to whoever answers'
    const wayOut = `write https://${url.host}`
    reportError(context, { code: 'kube_url_unfit', path, message, wayOut })
  } else if (url.pathname !== '/') {
    const message = `${JSON.stringify(url.pathname)} behind the address: that is a proxy, which has other replicas behind it`
    const wayOut = `name each kube-apiserver by its own address, as ${url.origin}`
    reportError(context, { code: 'kube_url_unfit', path, message, wayOut })
  }
}

function checkTwice(context: LoadContext, named: readonly (readonly [YamlPath, string])[]): void {
  const seen = new Set<string>()
  for (const [path, what] of named) {
    if (seen.has(what)) {
      const message = `${JSON.stringify(what)} stands twice`
      reportError(context, { code: 'id_duplicate', path, message, wayOut: 'take one of them out' })
    }
    seen.add(what)
  }
}

function absoluteOf(context: LoadContext, file: string | undefined): string | undefined {
  return file === undefined ? undefined : absolute(context, file)
}

function originOf(text: string): string {
  return URL.parse(text)?.origin ?? text
}
