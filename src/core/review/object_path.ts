// Paths as rules write them (`spec.versions[1].version`, `metadata.annotations["sallyport.dev/pins"]`) as keys.
import type { ObjectPath } from './reviewed_object.ts'

/** Quotes hold what JSON takes, since a key in a file may look like a step. */
const STEP = /([^.[\]"]+)|\[(\d+)\]|\[("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")\]/guy

/** As far as it can be read; a path that is none names the object itself. */
export function objectPath(text: string): ObjectPath {
  const path: (string | number)[] = []
  STEP.lastIndex = 0
  for (let at = 0; at < text.length;) {
    if (text[at] === '.') STEP.lastIndex = at + 1
    const match = STEP.exec(text)
    if (match === null) return path
    const [, name, index, quoted] = match
    if (name !== undefined) path.push(name)
    if (index !== undefined) path.push(Number(index))
    if (quoted !== undefined) path.push(unquoted(quoted))
    at = STEP.lastIndex
  }
  return path
}

function unquoted(text: string): string {
  const value: unknown = JSON.parse(text)
  return typeof value === 'string' ? value : ''
}
