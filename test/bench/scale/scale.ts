// `npm run bench -- scale`: what holds when there are many tokens and many processes.
import { postgresFolder, startPostgres } from '../../support/postgres.ts'
import type { Row } from '../verdict.ts'
import type { BenchWorld } from '../world.ts'
import { createFreshTokens } from './fresh_tokens.ts'
import { measureLiveEntries } from './live_entries.ts'
import { measureRevocation } from './revocation_times.ts'
import { measurePostgres, measureSqlite, measureTwoProcesses } from './scale_rates.ts'
import type { ScaleWorld } from './scale_rates.ts'

export type ScaleOptions = {
  readonly world: BenchWorld
  readonly quick: boolean
  readonly say: (line: string) => void
}

export async function measureScale({ world, quick, say }: ScaleOptions): Promise<readonly Row[]> {
  const undo: (() => unknown)[] = []
  try {
    const postgres = await startPostgres({ teardown: (act) => void undo.push(act) }, await postgresFolder(), {
      // As one is run, and not as tests like it.
      settings: ['fsync = on', 'shared_buffers = 128MB'],
    })
    const pace = quick
      ? { warmUpSeconds: 2, seconds: 1, rounds: 1 }
      : { warmUpSeconds: 8, seconds: 2, rounds: 10 }
    const scale: ScaleWorld = { world, tokens: createFreshTokens(world.folder), postgres, pace, say }
    const rows: Row[] = []
    say('good once, SQLite')
    rows.push(await measureSqlite(scale))
    say('good once, PostgreSQL')
    rows.push(await measurePostgres(scale))
    say('two processes on one PostgreSQL')
    rows.push(...(await measureTwoProcesses(scale)))
    say('revocation')
    rows.push(await measureRevocation(scale, quick ? 2 : 10))
    say('live claims')
    rows.push(...(await measureLiveEntries(scale, quick ? 100_000 : 1_000_000)))
    return rows
  } finally {
    for (const act of undo.reverse()) await act()
  }
}
