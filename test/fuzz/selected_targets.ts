import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FuzzTarget } from './target.ts'

/** A name that no target has. */
export class UnknownTarget extends Error {}

/** Those of `file` (its export `targets`) or ours; all of them, or those named. */
export async function selectedTargets(
  file: string | undefined,
  names: readonly string[],
): Promise<readonly FuzzTarget[]> {
  const address = file === undefined ? new URL('targets.ts', import.meta.url) : pathToFileURL(resolve(file))
  const module: { targets: readonly FuzzTarget[] } = await import(address.href)
  const known = module.targets.map(({ name }) => name)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new UnknownTarget(`no target is called "${unknown}"; there are ${known.join(', ')}`)
  return module.targets.filter(({ name }) => names.length === 0 || names.includes(name))
}
