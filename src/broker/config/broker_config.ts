// The resolved configuration of the broker: defaults filled, files read, durations in seconds. Nothing below the
// loaders (native.ts, dex.ts) sees what an operator wrote.
import type { Audience } from '#core/audience.ts'
import type { Client } from '#core/client.ts'
import type { Connector } from '#core/connector.ts'
import type { GrantType } from '#core/oauth/names.ts'
import type { PolicySource } from '#core/policy/trust_policy.ts'
import type { ListenerConfig } from '#platform/http/listen.ts'
import type { KubeStorePlace } from '#platform/store/kube_store.ts'
import type { PostgresAddress } from '#platform/store/postgres_pool.ts'

export type BrokerConfig = {
  readonly mode: 'native' | 'dex'
  /** Verbatim: a trailing slash stays (Dex). */
  readonly issuer: string
  readonly publicListeners: readonly ListenerConfig[]
  readonly opsListener: ListenerConfig | undefined
  /** How long an ending server still answers; `undefined`: as its store is shared or not. */
  readonly drainSeconds: number | undefined
  readonly web: WebConfig
  readonly store: StoreConfig
  readonly keys: KeysConfig
  /** Grants of the token endpoint that this configuration enables and this broker serves. */
  readonly grants: readonly GrantType[]
  readonly connectors: readonly Connector[]
  readonly clients: readonly Client[]
  readonly audiences: readonly Audience[]
  readonly policies: readonly PolicySource[]
  readonly tokens: {
    /** Lifetime where neither client, policy nor audience says less. Native 600, Dex `expiry.idTokens` or 86400. */
    readonly ttlSeconds: number
  }
  readonly limits: LimitsConfig
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly format: 'json' | 'text' }
  /** Where audit events go: `stdout`, `stderr` or a file that is appended to. */
  readonly audit: { readonly destination: string }
  /** Clusters that trust this broker. */
  readonly kube: KubeConfig
}

export type KubeConfig = {
  readonly apiservers: readonly KubeApiserverConfig[]
  /** Who may have tokens reviewed; none: the endpoint does not exist. */
  readonly reviewClients: readonly ReviewClientConfig[]
}

export type KubeApiserverConfig = {
  /** Origin, without a path. */
  readonly url: string
  readonly audience: string
  /** PEM; `undefined`: the system's roots. */
  readonly caFile: string | undefined
  readonly metricsTokenFile: string | undefined
}

export type ReviewClientConfig = {
  readonly id: string
  readonly audience: string
  readonly usernamePrefix: string
  readonly groupsPrefix: string
}

export type WebConfig = {
  /** Sent with every response of the public listener. */
  readonly headers: Readonly<Record<string, string>>
  /** CORS is off when empty. */
  readonly allowedOrigins: readonly string[]
  readonly allowedHeaders: readonly string[]
  /** Whose word about the client address is taken: header name and CIDRs of the proxies. */
  readonly clientAddress: { readonly header: string; readonly trustedProxies: readonly string[] } | undefined
}

export type StoreConfig =
  | { readonly type: 'memory' }
  | { readonly type: 'sqlite'; readonly file: string }
  | { readonly type: 'postgres'; readonly address: PostgresAddress; readonly schema: string }
  | { readonly type: 'kubernetes'; readonly place: KubeStorePlace }

export type KeysConfig = {
  readonly algorithm: 'ES256' | 'RS256'
  /** Seconds for which one key signs. */
  readonly rotationSeconds: number
  /** 32 bytes, base64 or raw, that seal private keys in the store; `undefined` stores them as they are (file mode 0600). */
  readonly sealingKeyFile: string | undefined
  /** Public JWKS served beside ours: Dex's old keys during a cut-over on the same issuer. */
  readonly extraPublicKeysFile: string | undefined
  /** Where private keys lie that this broker does not hold. */
  readonly signer: SignerConfig | undefined
}

export type SignerConfig = {
  /** What the signer calls the key that signs, or is to follow; `undefined`: keys are made here again. */
  readonly key: string | undefined
  readonly timeoutMs: number
  readonly maxConcurrent: number
  readonly maxWaiting: number
} & (
  | { readonly type: 'pkcs11'; readonly library: string; readonly token: string; readonly pinFile: string }
  | {
      readonly type: 'http'
      readonly url: string
      readonly tokenFile: string
      /** PEM, read at the start; `undefined`: the system's roots. */
      readonly caFile: string | undefined
    }
)

export type LimitsConfig = {
  /** Token bucket by client address before anything costs: requests per second and burst; 0 turns it off. */
  readonly addressRate: number
  readonly addressBurst: number
  /** Token bucket by client id and address. */
  readonly clientRate: number
  readonly clientBurst: number
  readonly maxConcurrentRequests: number
  readonly maxWaitingSignatures: number
}
