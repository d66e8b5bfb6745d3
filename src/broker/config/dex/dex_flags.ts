// Dex's feature flags: `DEX_<NAME>` as a Go boolean, the default when it is empty or none (pkg/featureflags).

type Environment = Readonly<Record<string, string | undefined>>

export type DexFlags = {
  /** DEX_EXPAND_ENV, on unless it says no. */
  readonly expandEnv: boolean
  readonly clientCredentialsByDefault: boolean
  readonly disallowUnknownKeys: boolean
}

export function readDexFlags(env: Environment): DexFlags {
  return {
    expandEnv: goBoolean(env['DEX_EXPAND_ENV'], true),
    clientCredentialsByDefault: goBoolean(env['DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT'], false),
    disallowUnknownKeys: goBoolean(env['DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS'], false),
  }
}

/** strconv.ParseBool. */
function goBoolean(text: string | undefined, fallback: boolean): boolean {
  if (text !== undefined && /^(?:1|t|T|TRUE|true|True)$/.test(text)) return true
  if (text !== undefined && /^(?:0|f|F|FALSE|false|False)$/.test(text)) return false
  return fallback
}
