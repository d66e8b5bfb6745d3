// The readiness of several workers as that of one server: a part is well when it is well in all of them.
import type { Check } from '../http/ops_app.ts'

type WorkerState = {
  readonly number: number
  /** Why it does not serve; `undefined`: it does. */
  readonly trouble: string | undefined
  /** `undefined`: it did not answer. */
  readonly checks: readonly Check[] | undefined
}

/** One check for each name, and one that says whether all workers are there. */
export function checksOfAll(workers: readonly WorkerState[]): readonly Check[] {
  const names = new Set(workers.flatMap(({ checks = [] }) => checks.map(({ name }) => name)))
  return [workersCheck(workers), ...[...names].map((name) => joined(name, workers))]
}

function workersCheck(workers: readonly WorkerState[]): Check {
  const missing = workers.flatMap(({ number, trouble, checks }) => {
    const why = trouble ?? (checks === undefined ? 'does not answer' : undefined)
    return why === undefined ? [] : [`worker ${number} ${why}`]
  })
  const there = `${workers.length - missing.length} of ${workers.length} serve`
  return {
    name: 'workers',
    ok: missing.length === 0,
    detail: [there, ...missing].join(', '),
    isRequired: true,
  }
}

function joined(name: string, workers: readonly WorkerState[]): Check {
  const found = workers.flatMap(({ number, checks = [] }) =>
    checks.filter((check) => check.name === name).map((check) => ({ number, check })),
  )
  const isRequired = found.some(({ check }) => check.isRequired)
  const failed = found.find(({ check }) => !check.ok)
  if (failed !== undefined) {
    return { name, ok: false, detail: `${failed.check.detail} (worker ${failed.number})`, isRequired }
  }
  return { name, ok: true, detail: found[0]?.check.detail ?? '', isRequired }
}
