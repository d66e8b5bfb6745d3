// How one finding reads.
import t from 'tap'
import { formatFinding } from '../../src/platform/config/finding.ts'
import type { Finding } from '../../src/platform/config/finding.ts'

const FINDING: Finding = {
  severity: 'error',
  code: 'yaml_tab',
  path: 'clients[0].id',
  message: 'a tab indents the line',
  wayOut: 'indent with spaces',
  place: { file: 'sallyport.yaml', line: 2, column: 1 },
}

t.test('a finding names its place, its code, its key and the way out', async (t) => {
  t.equal(
    formatFinding(FINDING),
    'sallyport.yaml:2:1: error yaml_tab (clients[0].id): a tab indents the line\n    -> indent with spaces',
  )
})

t.test(
  'what speaks of the whole file has no empty parentheses, and what is not there is left out',
  async (t) => {
    const bare = { ...FINDING, path: '', wayOut: undefined }
    t.equal(formatFinding(bare), 'sallyport.yaml:2:1: error yaml_tab: a tab indents the line')
    t.equal(formatFinding({ ...bare, place: undefined }), 'error yaml_tab: a tab indents the line')
  },
)
