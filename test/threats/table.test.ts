// The table of threats is whole: each id is a test, or SECURITY.md says why not; and nothing is listed that is not one.
// The ids come from the catalogue in the folder that SALLYPORT_SHARED names; without it only our own lists are compared.
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'

/** What waits for parts that do not exist yet. Whoever builds one takes its line away. */
const PENDING: Readonly<Record<string, string>> = {}

const shared = process.env['SALLYPORT_SHARED']
const root = join(import.meta.dirname, '../..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** Section of SECURITY.md -> id -> the reason in its row. */
const SECTIONS = ['Refused another way', 'Not offered, and refused', "Not this broker's"] as const
type Section = (typeof SECTIONS)[number]
const rows = SECTIONS.flatMap((section) => {
  const [, rest = ''] = read('SECURITY.md').split(`### ${section}\n`)
  const [table = ''] = rest.split(/^#/m)
  return [...table.matchAll(/^\| ([A-K]\d\d) \| (.+?) \| (.+) \|$/gm)].map(
    ([, id = '', what = '', why = '']) => ({
      section,
      id,
      what,
      why,
    }),
  )
})
const listedIn = (...sections: readonly Section[]): readonly string[] =>
  rows.filter(({ section }) => sections.includes(section)).map(({ id }) => id)

/** Rows name their id as a text of its own; other tests carry it in their title. */
function testedIds(): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const file of globSync('test/**/*.test.ts', { cwd: root })) {
    if (file.endsWith('/table.test.ts')) continue
    const pattern = dirname(file) === 'test/threats' ? /(?:TH-|')([A-K]\d\d)\b/g : /TH-([A-K]\d\d)\b/g
    for (const [, id = ''] of read(file).matchAll(pattern)) ids.add(id)
  }
  return ids
}
const tested = testedIds()

/** The ids of the catalogue: the first column of the tables of its section 4. */
function catalogue(folder: string): readonly string[] {
  const text = readFileSync(join(folder, 'reference/issuers-and-threats.md'), 'utf8')
  const [, section = ''] = text.split(/^## 4\. /m)
  const [table = ''] = section.split(/^## /m)
  return [...table.matchAll(/^\| ([A-K]\d\d) \|/gm)].map(([, id = '']) => id)
}

t.test('SECURITY.md lists no id twice, each with what it is and a reason', async (t) => {
  const ids = rows.map(({ id }) => id)
  t.equal(new Set(ids).size, ids.length, ids.filter((id, at) => ids.indexOf(id) !== at).join())
  for (const section of SECTIONS) t.ok(listedIn(section).length > 0, section)
  for (const { id, what, why } of rows) t.ok(what.length > 5 && why.length > 10, id)
})

t.test('what is refused another way, or is not offered, has a test that shows it', async (t) => {
  for (const id of listedIn('Refused another way', 'Not offered, and refused')) t.ok(tested.has(id), id)
  for (const id of listedIn("Not this broker's"))
    t.notOk(tested.has(id), `${id} has a test, and is this broker's after all`)
})

const options = { skip: shared === undefined ? 'SALLYPORT_SHARED does not name the catalogue' : false }

t.test('every id of the catalogue is a test or a row of SECURITY.md', options, async (t) => {
  const ids = catalogue(shared ?? '')
  t.equal(ids.length, 177, 'as the catalogue itself counts them')
  const listed = new Set(listedIn("Not this broker's"))
  t.strictSame(
    ids.filter((id) => !tested.has(id) && !listed.has(id)),
    [],
  )
})

t.test('no test, row or pending line is of an id that nobody knows', options, async (t) => {
  const known = new Set(catalogue(shared ?? ''))
  const named = [...tested, ...rows.map(({ id }) => id), ...Object.keys(PENDING)]
  t.strictSame(
    named.filter((id) => !known.has(id)),
    [],
  )
  for (const [id, what] of Object.entries(PENDING))
    t.ok(tested.has(id), `${id} is refused as far as it goes: ${what}`)
})
