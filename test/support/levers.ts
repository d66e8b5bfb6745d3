// Levers pulled and lifted as another process does it: a test's broker learns of them from the store.
import type { LeverName } from '../../src/core/levers.ts'
import {
  leverName,
  liftLever,
  pullLever,
  readLevers,
  takeEvent,
} from '../../src/platform/levers/lever_store.ts'
import type { TestBroker } from './test_broker.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const changes = { count: 0 }

function named(lever: string): LeverName {
  const [action = '', kind = '', id = ''] = lever.split(' ')
  const name = leverName(action, kind, id)
  if (name === undefined) throw new Error(`no lever ${lever}`)
  return name
}

function changeId(): string {
  changes.count += 1
  return `change-${changes.count}`
}

/** Asks something while the lever is pulled; another broker writes what was done into its audit log. */
export async function whilePulled<T>(world: TestBroker, lever: string, ask: () => Promise<T>): Promise<T> {
  await pull(world, lever, true)
  const answer = await ask()
  await lift(world, lever, true)
  return answer
}

/** As told by another broker. */
async function takeEvents({ broker }: TestBroker): Promise<void> {
  const { store } = broker.parts
  for (const event of (await readLevers(store)).events) await takeEvent(store, event)
}

/** `lever`: `disable client ci`. */
export async function pull(world: TestBroker, lever: string, isTold = false): Promise<void> {
  const { store, levers } = world.broker.parts
  const name = named(lever)
  const at = world.clock.now
  const did = name.action === 'deny' ? 'denied' : 'disabled'
  const said = { by: 'jane', why: 'INC-42' }
  const until = name.action === 'deny' ? at + DAY_MS : undefined
  const event = { id: changeId(), at, lever: { did, ...name, ...said } } as const
  if (!(await pullLever(store, { ...name, at, until, ...said }, event))) throw new Error('full')
  if (isTold) await takeEvents(world)
  await levers.refresh()
}

export async function lift(world: TestBroker, lever: string, isTold = false): Promise<void> {
  const { store, levers } = world.broker.parts
  const name = named(lever)
  const facts = { did: 'lifted', ...name, by: 'jane', why: '' } as const
  const event = { id: changeId(), at: world.clock.now, lever: facts }
  if (!(await liftLever(store, name, event))) throw new Error(`${lever} is not pulled`)
  if (isTold) await takeEvents(world)
  await levers.refresh()
}
