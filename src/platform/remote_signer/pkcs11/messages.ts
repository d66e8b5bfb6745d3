// What passes between the event loop and a thread that calls a PKCS#11 library. The thread's code stands in this folder
// alone: it may read nothing else.

export type ThreadData = {
  /** Shared library of the token's vendor. */
  readonly library: string
  /** The token's label. */
  readonly token: string
  /** Entry file of the package pkcs11js. */
  readonly binding: string
}

export type Job = {
  readonly id: number
  readonly pin: string
  /** CKA_LABEL of the key. */
  readonly key: string
} & (
  | { readonly job: 'public_key' }
  | { readonly job: 'sign'; readonly algorithm: 'ES256' | 'RS256'; readonly digest: Uint8Array }
)

/** Numbers big-endian. */
export type RawPublicKey =
  | { readonly kind: 'ec'; readonly x: Uint8Array; readonly y: Uint8Array }
  | { readonly kind: 'rsa'; readonly n: Uint8Array; readonly e: Uint8Array }

export type ThreadAnswer = { readonly id: number } & (
  | { readonly outcome: 'public_key'; readonly publicKey: RawPublicKey }
  | { readonly outcome: 'signature'; readonly signature: Uint8Array }
  | {
      readonly outcome: 'failed'
      readonly why: 'credential' | 'key_unfit' | 'refused' | 'unreachable'
      readonly detail: string
      /** The token refused the PIN: asking again with it would lock the token. */
      readonly isPinRefused: boolean
    }
)
