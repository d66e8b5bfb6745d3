// docs/kube-explain.md names every reason that the command can give, and no other.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { REFUSAL_CODES } from '../../src/core/kube/authentication_trace.ts'

t.test('the page lists every reason, and only reasons that there are', async (t) => {
  const page = readFileSync('docs/kube-explain.md', 'utf8')
  const table = page.slice(page.indexOf('## Reasons of a 401'), page.indexOf('## Where the answers'))
  const listed = [...table.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([a-z_]+)`/g)].map(([, code = '']) => code),
  )
  t.strictSame(listed.toSorted(), [...REFUSAL_CODES].toSorted())
})
