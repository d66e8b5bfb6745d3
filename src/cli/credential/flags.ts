// The flags of `sallyport credential` and a reader for plain command lines. kubectl starts the plugin for each call, and
// loading commander would take as long as all it does; what this reader does not understand is commander's to explain.
import { EXCHANGE_FLAGS } from '../exchange_flags.ts'
import type { ExchangeFlag } from '../exchange_flags.ts'

/** What was given, by the flag's long name; `true` for a switch. */
export type GivenFlags = ReadonlyMap<string, string | true>

const OWN_FLAGS: readonly ExchangeFlag[] = [
  {
    flags: '--cache-dir <folder>',
    says: 'where tokens are kept while they live; default $XDG_CACHE_HOME/sallyport or ~/.cache/sallyport',
    twin: 'SALLYPORT_CACHE_DIR',
  },
  { flags: '--no-cache', says: 'keep no token, and use none that was kept', twin: 'SALLYPORT_NO_CACHE' },
]

/** Said otherwise than by `exchange`: standard input belongs to kubectl, and a cluster wants one audience. */
const CHANGED: Readonly<Record<string, string>> = {
  audience: 'the cluster, as its API server names it; default: what the kubeconfig says of it',
  broker: "the broker's issuer URL; default: what the kubeconfig says",
  'client-secret-file': 'file with its secret; SALLYPORT_CLIENT_SECRET may hold the secret itself',
  'subject-token-file': 'file with the token to exchange',
}

export const CREDENTIAL_FLAGS: readonly ExchangeFlag[] = [...EXCHANGE_FLAGS.map(changed), ...OWN_FLAGS]

function changed(flag: ExchangeFlag): ExchangeFlag {
  const { flags, says, twin } = flag
  return { flags, says: CHANGED[longName(flag)] ?? says, ...(twin && { twin }) }
}

export function longName({ flags }: ExchangeFlag): string {
  return flags.slice(2).split(' ')[0] ?? ''
}

/** `undefined` for everything that is not a list of known flags, each with its value: help, mistakes. */
export function readPlainFlags(argv: readonly string[]): GivenFlags | undefined {
  const given = new Map<string, string | true>()
  for (let index = 0; index < argv.length; index += 1) {
    const [head = '', ...tail] = (argv[index] ?? '').split('=')
    const flag = CREDENTIAL_FLAGS.find((candidate) => `--${longName(candidate)}` === head)
    if (flag === undefined) return undefined
    const isSwitch = !flag.flags.includes('<')
    if (isSwitch && tail.length > 0) return undefined
    if (isSwitch) {
      given.set(longName(flag), true)
      continue
    }
    if (tail.length === 0) index += 1
    const value = tail.length > 0 ? tail.join('=') : argv[index]
    // A value that looks like a flag is more likely a value that was forgotten.
    if (value === undefined || value === '' || (tail.length === 0 && value.startsWith('-'))) return undefined
    given.set(longName(flag), value)
  }
  return given
}
