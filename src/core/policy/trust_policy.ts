// A trust policy: which claims of which connector get what. parse (config) -> compile -> immutable checker.
import type { SingleUse } from '#core/issuer/preset.ts'

/** How one claim is pinned. Strings compare byte for byte; numbers and strings never match each other. */
export type ClaimPin =
  | { readonly kind: 'exact'; readonly value: string | number | boolean }
  | { readonly kind: 'any_of'; readonly values: readonly (string | number | boolean)[] }
  /** Literal prefix that ends on a delimiter (`/`, `:` or `@`). */
  | { readonly kind: 'prefix'; readonly prefix: string }
  /** `*` stands for one or more characters of one segment; it never crosses `/`, `:` or `@`. */
  | { readonly kind: 'glob'; readonly pattern: string }
  /** RE2, anchored at both ends. */
  | { readonly kind: 're2'; readonly pattern: string }

export type PolicySource = {
  readonly name: string
  readonly connector: string
  /** Clients for which it holds; `undefined` means every client. */
  readonly clients: readonly string[] | undefined
  /** Claim name or JSON pointer -> pin. Every pin must hold. */
  readonly claims: Readonly<Record<string, ClaimPin>>
  /** CEL over `claims`, `client` and `connector`; must be exactly `true`. */
  readonly condition: string | undefined
  /** Replaces the preset's event allow-list when given. */
  readonly events: readonly string[] | undefined
  readonly disabled: boolean
  /** Milliseconds since the epoch after which it holds no more. */
  readonly notAfter: number | undefined
  readonly grant: GrantSource
}

export type GrantSource = {
  /** Audiences it may name; empty in Dex mode means every audience the client is trusted for. */
  readonly audiences: readonly string[]
  readonly groups: readonly string[]
  /** Further groups: the value(s) of `claim` looked up in `groups`; values not listed give nothing. */
  readonly groupsFrom:
    | { readonly claim: string; readonly groups: Readonly<Record<string, readonly string[]>> }
    | undefined
  /** Template over verified claims: `gitlab:${project_path}`. */
  readonly username: string | undefined
  /** Flat string claims of the issued token: name -> template. */
  readonly claims: Readonly<Record<string, string>>
  /** Scopes it allows; `undefined` means all that the wire knows. */
  readonly scopes: readonly string[] | undefined
  readonly ttlSeconds: number | undefined
  /** `undefined` means the connector's. */
  readonly singleUse: SingleUse | undefined
}

/** What a matched policy gives. Built from scratch from verified claims. */
export type PolicyGrant = {
  readonly policy: string
  readonly audiences: readonly string[]
  readonly groups: readonly string[]
  readonly username: string | undefined
  readonly claims: Readonly<Record<string, string>>
  readonly scopes: readonly string[] | undefined
  readonly ttlSeconds: number | undefined
  readonly singleUse: SingleUse | undefined
}
