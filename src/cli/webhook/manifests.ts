// Kubernetes objects as YAML for `kubectl apply -f -`: the same bytes for the same objects.
import { stringify } from 'yaml'
import type { JsonObject } from '#core/claims.ts'

/** @param heading said as a comment at the top; lines without # */
export function printManifests(heading: readonly string[], objects: readonly JsonObject[]): string {
  const head = heading.map((line) => (line === '' ? '#\n' : `# ${line}\n`)).join('')
  // Long lines stay whole: a folded one is hard to read, and an anchor is nothing that a person edits.
  const texts = objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }))
  return `${head}${texts.join('---\n')}`
}
