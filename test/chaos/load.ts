// The jobs of a run: they race for tokens that are good once, come back with spent, expired and forged ones, buy with
// tokens that are good for longer, and ask what issued tokens are worth.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomOf } from '../fuzz/mutation.ts'
import type { Below } from '../fuzz/mutation.ts'
import { gitlabClaims } from '../support/test_broker.ts'
import { makeKey } from '../support/test_issuer.ts'
import type { ChaosClient, Offer } from './client.ts'
import type { DomainName } from './history.ts'
import type { Recorder } from './recorder.ts'
import type { Broker, UpstreamName, World } from './world.ts'

/** How long a job's token lives. */
const SUBJECT_SECONDS = 120
const LOOK_EVERY_MS = 500
/** Between two rounds of one job. */
const PAUSE_MS = 60
/** Remembered for later: spent tokens to try again, issued ones to ask about. */
const REMEMBERED = 400

export type Load = { readonly stop: () => Promise<void> }

export type LoadOptions = {
  readonly world: World
  readonly client: ChaosClient
  readonly recorder: Recorder
  readonly seed: number
}

export function startLoad({ world, client, recorder, seed }: LoadOptions): Load {
  const over = new AbortController()
  const forger = makeKey('RS256')
  let nextSeed = seed
  const domains = Map.groupBy(world.brokers, ({ domain }) => domain)

  /** Does it again and again, with random numbers of its own. */
  async function repeat(round: (below: Below) => Promise<unknown>, pauseMs: number): Promise<void> {
    nextSeed += 1
    const below = randomOf(nextSeed)
    while (!over.signal.aborted) {
      await round(below)
      await sleep(pauseMs + below(pauseMs))
    }
  }

  function offer(upstream: UpstreamName, domain: Domain, left: number, isForged = false): Offer {
    const seconds = Math.floor(Date.now() / 1000)
    const jti = randomUUID()
    const times = { iat: seconds - SUBJECT_SECONDS, nbf: seconds - SUBJECT_SECONDS, exp: seconds + left }
    const issuer = world.upstreams[upstream]
    const options = isForged ? { key: forger.privateKey, alg: 'RS256', kid: issuer.key('RS256').kid } : {}
    const token = issuer.mint({ ...gitlabClaims(domain.issuer), ...times, jti }, options)
    return { token, jti, exp: times.exp, connector: upstream, isSingleUse: upstream === 'once', isForged }
  }

  function jobsOf(name: DomainName, brokers: readonly Broker[]): readonly Promise<void>[] {
    const [first] = brokers
    if (first === undefined) return []
    const domain: Domain = { name, issuer: first.issuer }
    const any = (below: Below): Broker => brokers[below(brokers.length)] ?? first
    const spent: Offer[] = []
    const issued: string[] = []

    const race = async (below: Below): Promise<void> => {
      const one = offer('once', domain, SUBJECT_SECONDS)
      const buyers = Array.from(
        { length: 1 + below(4) },
        (_, index) => brokers[index % brokers.length] ?? first,
      )
      const statuses = await Promise.all(buyers.map(async (broker) => client.buy(broker, one)))
      if (statuses.every((status) => status !== 200)) await client.buy(any(below), one)
      remember(spent, one)
      const token = recorder.latestToken(name)
      if (token !== undefined) remember(issued, token)
    }
    const again = async (below: Below): Promise<void> => {
      const one = spent[below(spent.length)]
      if (one !== undefined) await client.buy(any(below), one)
    }
    const ask = async (below: Below): Promise<void> => {
      const watched = recorder.watched(name)
      const token = below(3) === 0 ? watched[below(watched.length)] : issued[below(issued.length)]
      if (token !== undefined) await client.ask(any(below), token)
    }
    const mixed = async (below: Below): Promise<void> => {
      const upstream = below(2) === 0 ? 'once' : 'many'
      switch (below(6)) {
        case 0:
          // Around the end of what a broker with any of the clocks may take.
          await client.buy(any(below), offer(upstream, domain, -below(80)))
          return
        case 1:
          await client.buy(any(below), offer(upstream, domain, SUBJECT_SECONDS, true))
          return
        case 2:
          await client.buy(any(below), undefined)
          return
        default:
          await client.buy(any(below), offer('many', domain, SUBJECT_SECONDS))
      }
    }
    return [
      repeat(race, PAUSE_MS),
      repeat(race, PAUSE_MS),
      repeat(mixed, PAUSE_MS),
      repeat(mixed, PAUSE_MS),
      repeat(again, PAUSE_MS),
      repeat(ask, 2 * PAUSE_MS),
      ...brokers.map((broker) => repeat(() => client.look(broker), LOOK_EVERY_MS / 2)),
    ]
  }

  const jobs = Array.from(domains, ([name, brokers]) => jobsOf(name, brokers)).flat()
  return {
    async stop() {
      over.abort()
      await Promise.all(jobs)
    },
  }
}

type Domain = { readonly name: DomainName; readonly issuer: string }

function remember<Item>(items: Item[], item: Item): void {
  items.push(item)
  if (items.length > REMEMBERED) items.shift()
}

/** Everything is whole again: each broker must sell a token that is good once, within `patienceMs`. */
export async function buyAtEach(
  { world, client, recorder, seed }: LoadOptions,
  patienceMs: number,
): Promise<void> {
  const below = randomOf(seed)
  await Promise.all(
    world.brokers.map(async (broker) => {
      const deadline = Date.now() + patienceMs
      let status: number | undefined
      while (Date.now() < deadline) {
        const seconds = Math.floor(Date.now() / 1000)
        const times = {
          iat: seconds - SUBJECT_SECONDS,
          nbf: seconds - SUBJECT_SECONDS,
          exp: seconds + SUBJECT_SECONDS,
        }
        const jti = randomUUID()
        const token = world.upstreams.once.mint({ ...gitlabClaims(broker.issuer), ...times, jti })
        const fresh = {
          token,
          jti,
          exp: times.exp,
          connector: 'once',
          isSingleUse: true,
          isForged: false,
        } as const
        status = await client.buy(broker, fresh)
        if (status === 200) return
        await sleep(300 + below(200))
      }
      const detail = `sells nothing ${patienceMs / 1000} s after everything was whole again: ${status ?? 'no answer'}`
      recorder.mishap({ broker: broker.name, at: Date.now(), kind: 'not_back', detail })
    }),
  )
}
