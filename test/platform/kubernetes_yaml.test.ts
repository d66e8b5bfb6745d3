// YAML as the apiserver's reader takes it: the values were compared with go-yaml v2 in test/e2e/kube_lint_agreement.
import t from 'tap'
import { readYamlDocuments } from '../../src/platform/config/yaml_document.ts'
import type { YamlDocument } from '../../src/platform/config/yaml_document.ts'

function read(text: string): { data: unknown; codes: readonly string[]; document: YamlDocument | undefined } {
  const [first] = readYamlDocuments('a.yaml', text, 'kubernetes').documents
  return {
    data: first?.document.data,
    codes: first?.findings.map(({ code }) => code) ?? [],
    document: first?.document,
  }
}

const SCALARS: readonly (readonly [string, unknown])[] = [
  ['yes', true],
  ['On', true],
  ['y', true],
  ['n', false],
  ['OFF', false],
  ['oN', 'oN'],
  ["'yes'", 'yes'],
  ['~', null],
  ['', null],
  ['Null', null],
  ['017', 15],
  ['0o17', 15],
  ['08', 8],
  ['0x1F', 31],
  ['0b11', 3],
  ['-0x1F', -31],
  ['1_000', 1000],
  ['1e3', 1000],
  ['.5', 0.5],
  ['1.', 1],
  ['1e999', '1e999'],
  ['1.2.3', '1.2.3'],
  ['2026-11-21', '2026-11-21'],
  ['12:30:45', '12:30:45'],
  ['0x', '0x'],
  ['0xFFFFFFFFFFFFFFFFFF', '0xFFFFFFFFFFFFFFFFFF'],
  ['18446744073709551616', 18446744073709551616],
  ['!!str yes', 'yes'],
  ['!!int "7"', 7],
  ['!!float 7', 7],
  ['!own yes', 'yes'],
  ['!!binary aGk=', 'hi'],
]

for (const [text, value] of SCALARS) {
  t.test(`${text === '' ? 'nothing' : text} is ${JSON.stringify(value)} to Kubernetes`, async (t) => {
    const { data, codes } = read(`a: ${text}\n`)
    t.same({ data, codes }, { data: { a: value }, codes: [] })
  })
}

for (const text of ['.inf', '-.INF', '.nan', '!!int x', '!!binary a']) {
  t.test(`${text} is no value of JSON`, async (t) => {
    t.same(read(`a: ${text}\n`).codes, ['yaml_number'])
  })
}

t.test('merge keys bring keys, and none that stands already', async (t) => {
  const anchor = 'base: &base { a: 1 }\n'
  t.same(read(`${anchor}x:\n  <<: *base\n  b: 2\n`).data, { base: { a: 1 }, x: { a: 1, b: 2 } })
  t.same(read(`${anchor}x:\n  <<: *base\n  a: 2\n`).codes, ['yaml_duplicate_key'])
  t.same(read(`${anchor}x:\n  <<: 3\n`).codes, ['yaml_alias'])
  t.same(read(`${anchor}x:\n  '<<': 3\n`).data, { base: { a: 1 }, x: { '<<': 3 } })
})

t.test('documents are told apart, the empty ones too, each with its own findings', async (t) => {
  const { documents } = readYamlDocuments('a.yaml', '---\n---\na: 1\n---\nb: [\n', 'kubernetes')
  t.same(
    documents.map(({ isEmpty, findings }) => [isEmpty, findings.length]),
    [
      [true, 0],
      [false, 0],
      [false, documents[2]?.findings.length ?? 0],
    ],
  )
  t.ok((documents[2]?.findings.length ?? 0) > 0)
})

const MARK = 'claims.sub != "x"'
const STYLES: readonly (readonly [string, string, string])[] = [
  ['a plain text', 'a: claims.sub != x\n', '1:15'],
  ['single quotes with an apostrophe', "a: 'it''s != x'\n", '1:11'],
  ['double quotes with escapes', 'a: "x\\ty \\"\\u0041 != z"\n', '1:19'],
  ['a literal block', 'a: |\n  one\n  two != x\n', '3:7'],
  ['a folded block', 'a: >-\n  one\n  two\n\n  three != x\n', '5:9'],
  ['a literal block with an indentation indicator', 'a: |2\n    one\n  two != x\n', '3:7'],
  ['a plain text over two lines', 'a: one\n  two != x\n', '2:7'],
]

for (const [says, text, place] of STYLES) {
  t.test(`a place inside ${says} is found`, async (t) => {
    const { document, data } = read(text)
    const value = String(Object.values(data ?? {})[0])
    const found = document?.placeInText(['a'], value.indexOf('!='))
    t.equal(`${found?.line}:${found?.column}`, place)
    t.equal(document?.placeInText(['b'], 0), undefined)
  })
}

t.test('a place behind the end is the end', async (t) => {
  t.match(read(`a: ${MARK}\n`).document?.placeInText(['a'], 400), { line: 1, column: 4 + MARK.length })
})
