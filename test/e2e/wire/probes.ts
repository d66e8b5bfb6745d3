// All probes, and a look over them: names are unique, and each token of another probe comes from one of the same world.
import type { Probe } from './probe.ts'
import { clientCredentialsProbes } from './probes/client_credentials.ts'
import { documentProbes } from './probes/documents.ts'
import { exchangeProbes } from './probes/exchange.ts'
import { ownTokenProbes } from './probes/own_tokens.ts'
import { requestProbes } from './probes/request.ts'

export const probes: readonly Probe[] = [
  ...exchangeProbes,
  ...clientCredentialsProbes,
  ...requestProbes,
  ...documentProbes,
  ...ownTokenProbes,
]

export const probesByName: ReadonlyMap<string, Probe> = new Map(probes.map((probe) => [probe.name, probe]))
if (probesByName.size !== probes.length) throw new Error('two probes have one name')
