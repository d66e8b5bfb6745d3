// Claims, many at a time: whatever is asked for while a batch is under way goes into the next one. Nearly always a claim
// is of one key and new, and all of those of a batch are one statement; the rest of it is one transaction that locks what
// is held, looks, and writes. A batch that fails fails for everybody in it: nobody is told that he has what nobody knows of.
import type { Clock } from '#core/clock.ts'
import { claimedToo, claimedValue } from './claim.ts'
import type { Claim } from './claim.ts'
import { isCollision, isSilence, postgresFailure } from './postgres_failure.ts'
import type { PostgresPool, Run, Statement } from './postgres_pool.ts'
import { StoreFailure } from './store.ts'

export type ClaimQueue = {
  /** As `Store.claimAllOnce`. */
  claim(claims: readonly Claim[]): Promise<boolean>
  /** Refuses whoever waits, and whoever comes. */
  close(): void
}

type Waiting = {
  readonly claims: readonly Claim[]
  readonly resolve: (taken: boolean) => void
  readonly reject: (failure: StoreFailure) => void
}

/** Batches under way at once: while the database writes one to its disk the next is made. More only makes them smaller. */
const LANES = 2
const MAX_BATCH = 500
/** Beyond it is refused at once: a broker serves 1,024 requests at a time. */
const MAX_WAITING = 5000
/** Replicas that claim overlapping sets in the same moment; each round one of them wins. */
const MAX_ROUNDS = 5

export function createClaimQueue(pool: PostgresPool, schema: string, clock: Clock): ClaimQueue {
  const sql = statements(schema)
  let waiting: Waiting[] = []
  let lanes = 0
  let isScheduled = false
  let isClosed = false

  function schedule(): void {
    if (isScheduled || lanes >= LANES || waiting.length === 0) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      while (lanes < LANES && waiting.length > 0) start(waiting.splice(0, MAX_BATCH))
    })
  }

  function start(batch: readonly Waiting[]): void {
    lanes += 1
    void settle(batch).finally(() => {
      lanes -= 1
      schedule()
    })
  }

  async function settle(batch: readonly Waiting[]): Promise<void> {
    const { plain, others } = sorted(batch)
    await Promise.all([
      takeNew(plain).catch((error: unknown) => refuse([...plain.values()], error)),
      others.length === 0 ? undefined : takeOthers(others).catch((error: unknown) => refuse(others, error)),
    ])
  }

  function refuse(batch: readonly Waiting[], error: unknown): void {
    const failure = postgresFailure(pool.place, error)
    const behind = isSilence(error) ? waiting.splice(0) : []
    for (const { reject } of [...batch, ...behind]) reject(failure)
  }

  /** One statement for all. A part whose key is held may still be free: those are looked at once more. */
  async function takeNew(plain: ReadonlyMap<string, Waiting>): Promise<void> {
    if (plain.size === 0) return
    const claims = [...plain.values()].flatMap((one) => one.claims)
    const taken = await insert(pool.run, sql, rowsOf(claims), clock())
    const again: Waiting[] = []
    for (const [key, one] of plain) {
      if (taken.has(key)) one.resolve(true)
      else if (one.claims.some(({ parts }) => parts.length > 0)) again.push(one)
      else one.resolve(false)
    }
    if (again.length > 0) await takeOthers(again).catch((error: unknown) => refuse(again, error))
  }

  async function takeOthers(batch: readonly Waiting[]): Promise<void> {
    for (let round = 1; ; round += 1) {
      try {
        const results = await pool.transaction(async (run) => takeHeld(run, sql, batch, clock()))
        if (results !== undefined) {
          for (const [index, one] of batch.entries()) one.resolve(results[index] === true)
          return
        }
      } catch (error) {
        if (!isCollision(error)) throw error
      }
      if (round === MAX_ROUNDS)
        throw new StoreFailure(`${pool.place}: others claim the same at the same time, again and again`)
    }
  }

  return {
    claim(claims) {
      if (isClosed) return Promise.reject(new StoreFailure(`${pool.place} is closed`))
      if (claims.length === 0) return Promise.resolve(true)
      if (waiting.length >= MAX_WAITING)
        return Promise.reject(new StoreFailure(`${pool.place}: too many claims wait already`))
      return new Promise((resolve, reject) => {
        waiting.push({ claims, resolve, reject })
        schedule()
      })
    },
    close() {
      isClosed = true
      const left = waiting
      waiting = []
      refuse(left, new StoreFailure(`${pool.place} is closed`))
    },
  }
}

/** `plain`: of one key that nobody else in the batch wants, by that key. */
function sorted(batch: readonly Waiting[]): {
  readonly plain: ReadonlyMap<string, Waiting>
  readonly others: readonly Waiting[]
} {
  const wanted = new Map<string, number>()
  for (const { claims } of batch) for (const { key } of claims) wanted.set(key, (wanted.get(key) ?? 0) + 1)
  const plain = new Map<string, Waiting>()
  const others: Waiting[] = []
  for (const one of batch) {
    const [only, second] = one.claims
    if (only !== undefined && second === undefined && wanted.get(only.key) === 1) plain.set(only.key, one)
    else others.push(one)
  }
  return { plain, others }
}

type EntryRow = { readonly key: string; readonly value: string; readonly expiresAt: number }

function rowsOf(claims: readonly Claim[]): readonly EntryRow[] {
  return claims.map(({ key, parts, expiresAt }) => ({ key, value: claimedValue(parts), expiresAt }))
}

/** The keys that were free, or expired, and are ours now. */
async function insert(
  run: Run,
  sql: Statements,
  rows: readonly EntryRow[],
  now: number,
): Promise<ReadonlySet<string>> {
  const answer = await run(sql.insert, [...columnsOf(rows), now])
  return new Set(answer.rows.map((row) => String(row['key'])))
}

/** In one order everywhere, so that two batches of two replicas never wait for each other. */
function columnsOf(rows: readonly EntryRow[]): readonly [string[], string[], number[]] {
  const ordered = [...rows].sort((a, b) => (a.key < b.key ? -1 : 1))
  return [
    ordered.map(({ key }) => key),
    ordered.map(({ value }) => value),
    ordered.map(({ expiresAt }) => expiresAt),
  ]
}

/**
 * One after the other as they came, each all or nothing, over what is held and what those before took. `undefined`, and
 * nothing kept, when somebody took one of the keys in between.
 */
async function takeHeld(
  run: Run,
  sql: Statements,
  batch: readonly Waiting[],
  now: number,
): Promise<{ readonly keep: boolean; readonly result: readonly boolean[] | undefined }> {
  const keys = [...new Set(batch.flatMap(({ claims }) => claims.map(({ key }) => key)))].sort()
  const { rows } = await run(sql.hold, [keys, now])
  const held = new Map(rows.map((row) => [String(row['key']), String(row['value'])]))
  const fresh = new Map<string, EntryRow>()
  const wider = new Map<string, EntryRow>()
  const results = batch.map(({ claims }) => {
    const left = claims.map(({ key, parts }) => {
      const value = fresh.get(key)?.value ?? wider.get(key)?.value ?? held.get(key)
      return value === undefined ? claimedValue(parts) : claimedToo(value, parts)
    })
    if (left.includes(undefined)) return false
    for (const [index, { key, expiresAt }] of claims.entries()) {
      const rowsNow = held.has(key) ? wider : fresh
      const latest = Math.max(rowsNow.get(key)?.expiresAt ?? 0, expiresAt)
      rowsNow.set(key, { key, value: left[index] ?? '', expiresAt: latest })
    }
    return true
  })
  if (fresh.size > 0) {
    const taken = await insert(run, sql, [...fresh.values()], now)
    if (taken.size < fresh.size) return { keep: false, result: undefined }
  }
  if (wider.size > 0) await run(sql.widen, columnsOf([...wider.values()]))
  return { keep: fresh.size + wider.size > 0, result: results }
}

type Statements = Readonly<Record<'insert' | 'hold' | 'widen', Statement>>

function statements(schema: string): Statements {
  const entries = `"${schema}".entries`
  return {
    insert: {
      name: 'claim_insert',
      text: `INSERT INTO ${entries} AS held (key, value, expires_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
        WHERE held.expires_at <= $4 RETURNING key`,
    },
    hold: {
      name: 'claim_hold',
      text: `SELECT key, value FROM ${entries} WHERE key = ANY($1::text[])
        AND (expires_at IS NULL OR expires_at > $2) ORDER BY key FOR UPDATE`,
    },
    widen: {
      name: 'claim_widen',
      text: `UPDATE ${entries} AS held SET value = wider.value,
          expires_at = CASE WHEN held.expires_at IS NULL THEN NULL ELSE greatest(held.expires_at, wider.until) END
        FROM unnest($1::text[], $2::text[], $3::bigint[]) AS wider (key, value, until) WHERE held.key = wider.key`,
    },
  }
}
