// Two servers with the same Dex configuration and the same subject tokens, asked probe by probe.
import { differences } from './compare.ts'
import type { Difference } from './compare.ts'
import { createContender } from './contender.ts'
import type { Contender } from './contender.ts'
import type { Probe } from './probe.ts'
import { probes, probesByName } from './probes.ts'
import { startUpstream } from './upstream.ts'
import type { Upstream } from './upstream.ts'
import { dexConfig, subjectTokens } from './world.ts'
import type { World } from './world.ts'
import type { WireResponse } from './wire_client.ts'

export const worlds: readonly World[] = ['main', 'es256', 'root']

type Outcome = {
  readonly probe: Probe
  readonly dex: WireResponse
  readonly ours: WireResponse
  readonly differences: readonly Difference[]
}

/** A server that was given `config` and answers at `url`. */
type Started = { readonly url: string; logs(): string; stop(): Promise<void> }

export type Starter = (config: Readonly<Record<string, unknown>>, upstream: Upstream) => Promise<Started>

export function startWireUpstream(): Promise<Upstream> {
  const rs256 = { algorithms: ['RS256'] }
  return startUpstream({
    gitlab: rs256,
    github: rs256,
    plain: rs256,
    keycloak: rs256,
    both: { algorithms: ['RS256', 'ES256'] },
  })
}

export function probesOf(world: World): readonly Probe[] {
  return probes.filter((probe) => (probe.world ?? 'main') === world)
}

export type Pair = {
  readonly dex: Started
  readonly ours: Started
  compare(probe: Probe): Promise<Outcome>
  stop(): Promise<void>
}

/** Starts both servers of one world; they stop together. */
export async function startPair(
  world: World,
  upstream: Upstream,
  startDexSide: Starter,
  startOurSide: Starter,
): Promise<Pair> {
  const config = dexConfig(world, upstream)
  const dex = await startDexSide(config, upstream)
  try {
    const ours = await startOurSide(config, upstream)
    const tokens = subjectTokens(world, upstream, Math.floor(Date.now() / 1000))
    const side = (server: Started): Promise<Contender> =>
      createContender({ origin: server.url, world, subjectTokens: tokens, probes: probesByName })
    const [dexSide, ourSide] = await Promise.all([side(dex), side(ours)])
    return {
      dex,
      ours,
      compare: async (probe) => {
        const left = await dexSide.ask(probe)
        const right = await ourSide.ask(probe)
        return {
          probe,
          dex: left.response,
          ours: right.response,
          differences: differences(left.aspects, right.aspects),
        }
      },
      stop: async () => {
        await dex.stop()
        await ours.stop()
      },
    }
  } catch (error) {
    await dex.stop()
    throw error
  }
}
