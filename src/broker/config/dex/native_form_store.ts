// The store of a loaded configuration in the words of sallyport.yaml. Passwords stay in the files where they are.
import { formatDuration } from '#platform/config/duration.ts'
import type { StoreConfig } from '../broker_config.ts'

/** Plain data of the section `store`; `undefined` members are left out. */
export function nativeStore(store: StoreConfig): unknown {
  if (store.type === 'kubernetes') return nativeKubernetes(store.place)
  if (store.type !== 'postgres') return store
  const { address, schema } = store
  const { secret, tls, maxConnections } = address
  const isWhole = secret?.holds === 'url'
  return {
    type: 'postgres',
    urlFile: isWhole ? secret.file : undefined,
    url: isWhole ? undefined : urlOf(address),
    passwordFile: secret?.holds === 'password' ? secret.file : undefined,
    tls: isWhole || tls === 'off' || isEmpty(tls) ? undefined : tls,
    schema,
    maxConnections,
    connectTimeout: formatDuration(address.connectTimeoutSeconds),
    statementTimeout: formatDuration(address.statementTimeoutSeconds),
  }
}

function nativeKubernetes(place: Extract<StoreConfig, { type: 'kubernetes' }>['place']): unknown {
  const { from, namespace, definitions, requestTimeoutSeconds, maxEntries } = place
  return {
    type: 'kubernetes',
    ...(from === 'cluster' ? {} : from),
    namespace,
    definitions,
    requestTimeout: formatDuration(requestTimeoutSeconds),
    maxEntries,
  }
}

type Address = Extract<StoreConfig, { type: 'postgres' }>['address']

function urlOf({ host, port, database, user, tls }: Address): string {
  const isSocket = host.startsWith('/')
  const parameters = new URLSearchParams(isSocket ? { host, user } : {})
  if (!isSocket) parameters.set('sslmode', tls === 'off' ? 'disable' : 'verify-full')
  const authority = isSocket
    ? ''
    : `${encodeURIComponent(user)}@${host.includes(':') ? `[${host}]` : encodeURIComponent(host)}:${port}`
  return `postgres://${authority}/${encodeURIComponent(database)}?${parameters.toString()}`
}

function isEmpty(tls: Exclude<Address['tls'], 'off'>): boolean {
  return tls.caFile === undefined && tls.serverName === undefined
}
