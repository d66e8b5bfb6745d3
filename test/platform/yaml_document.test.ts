import t from 'tap'
import { pathText, readYaml } from '../../src/platform/config/yaml_document.ts'
import type { YamlDocument } from '../../src/platform/config/yaml_document.ts'

const codesOf = (text: string) => readYaml('a.yaml', text).findings.map((finding) => finding.code)

function documentOf(text: string): YamlDocument {
  const { documents, findings } = readYaml('a.yaml', text)
  const [document] = documents
  if (document === undefined || findings.length > 0) throw new Error(`not read: ${JSON.stringify(findings)}`)
  return document
}

t.test('yes, no, on and off are texts, as YAML 1.2 has it (TH-C25)', (t) => {
  t.same(documentOf('a: yes\nb: no\nc: on\nd: off\ne: true\nf: 0o17\ng: 1_000\n').data, {
    a: 'yes',
    b: 'no',
    c: 'on',
    d: 'off',
    e: true,
    f: 15,
    g: '1_000',
  })
  t.end()
})

t.test('keys are texts as written, also those that mean something to JavaScript', (t) => {
  const { data } = documentOf('1: one\ntrue: yes\n0x1F: hex\n__proto__: own\nconstructor: own\n')
  t.same(Object.keys(data ?? {}).toSorted(), ['0x1F', '1', '__proto__', 'constructor', 'true'])
  t.equal(Object.getPrototypeOf(data), Object.prototype)
  t.end()
})

t.test('JSON is read as well', (t) => {
  t.same(documentOf('{"a": [1, {"b": null}]}').data, { a: [1, { b: null }] })
  t.end()
})

t.test('every key, item and alias knows where it stands', (t) => {
  const document = documentOf('a:\n  - b: 1\n    c: &c { d: 0x1 }\ne: *c\n')
  const at = (...path: (string | number)[]) => {
    const place = document.placeOf(path)
    return `${place?.line}:${place?.column}`
  }
  t.equal(at('a'), '1:1')
  t.equal(at('a', 0), '2:5')
  t.equal(at('a', 0, 'c'), '3:5')
  t.equal(at('a', 0, 'c', 'd'), '3:13')
  t.equal(at('e', 'd'), '3:13')
  t.equal(at('a', 0, 'missing', 'deeper'), '2:5', 'what is not there stands where it should')
  t.equal(document.sourceOf(['a', 0, 'c', 'd']), '0x1')
  t.equal(document.sourceOf(['a', 0, 'c']), undefined)
  t.end()
})

t.test('a byte order mark and CRLF line ends are read over', (t) => {
  const document = documentOf('\uFEFFa: 1\r\nb: 2\r\n')
  t.same(document.data, { a: 1, b: 2 })
  t.equal(document.placeOf(['b'])?.line, 2)
  t.end()
})

t.test('a file without content has no document, several have several', (t) => {
  t.equal(readYaml('a.yaml', '').documents.length, 0)
  t.equal(readYaml('a.yaml', '# only words\n---\n').documents.length, 0)
  t.same(
    readYaml('a.yaml', '---\na: 1\n---\n# nothing\n---\nb: 2\n').documents.map((document) => document.data),
    [{ a: 1 }, { b: 2 }],
  )
  t.end()
})

t.test('a repeated key is a finding that names the first one, and the first one stays (TH-C25)', (t) => {
  const { documents, findings } = readYaml('a.yaml', 'a:\n  b: 1\n  "b": 2\n')
  t.same(
    findings.map(({ code, path, place }) => [code, path, place?.line, place?.column]),
    [['yaml_duplicate_key', 'a.b', 3, 3]],
  )
  t.match(findings[0]?.message, /line 2/)
  t.same(documents[0]?.data, { a: { b: 1 } })
  t.end()
})

t.test('what is not plain data is refused with a place (TH-C25)', (t) => {
  for (const [text, code] of [
    ['a: !!binary aGk=', 'yaml_syntax'],
    ['a: !Ref x', 'yaml_syntax'],
    ['a: !!timestamp 2027-01-01', 'yaml_syntax'],
    ['a: .nan', 'yaml_number'],
    ['? {a: 1}\n: b', 'yaml_key'],
    ['a:\n\tb: 1', 'yaml_tab'],
    ['a: *nobody', 'yaml_alias'],
    ['a: &a [*a]', 'yaml_alias'],
    ['a: "open', 'yaml_syntax'],
    ['a: b: c', 'yaml_syntax'],
  ] as const) {
    const { findings } = readYaml('a.yaml', text)
    t.equal(findings[0]?.code, code, text)
    t.equal(findings[0]?.place?.file, 'a.yaml')
  }
  t.end()
})

t.test('a small file cannot become a large one (TH-C25)', (t) => {
  const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let level = 1; level < 9; level++) {
    bomb.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`)
  }
  t.same(codesOf(bomb.join('\n')), ['yaml_too_large'])
  t.same(codesOf(`a: &a 1\nb: [${'*a,'.repeat(1001)}]`), ['yaml_too_large'])
  t.same(codesOf(`a: &a 1\nb: [${'*a,'.repeat(1000)}]`), [])
  t.same(codesOf('x'.repeat(2 ** 20 + 1)), ['yaml_too_large'])
  t.end()
})

t.test('nesting without end is refused before it is followed', (t) => {
  t.same(codesOf('['.repeat(100_000)), ['yaml_too_deep'])
  t.same(codesOf('- '.repeat(100_000)), ['yaml_too_deep'])
  t.same(codesOf('{a: '.repeat(65) + '1' + '}'.repeat(65)), ['yaml_too_deep'])
  t.same(codesOf('{a: '.repeat(60) + '1' + '}'.repeat(60)), [])
  t.end()
})

t.test('no text makes the reader throw', (t) => {
  const pieces = [
    'a',
    ':',
    ' ',
    '\n',
    '-',
    '[',
    ']',
    '{',
    '}',
    '&x',
    '*x',
    '!',
    '|',
    '>',
    '"',
    "'",
    '?',
    '#',
    '\t',
    '%',
  ]
  let seed = 7
  const next = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed % below
  }
  for (let round = 0; round < 2000; round++) {
    const text = Array.from({ length: next(24) }, () => pieces[next(pieces.length)]).join('')
    const { findings } = readYaml('a.yaml', text)
    if (findings.some((finding) => (finding.place?.line ?? 0) < 1))
      t.fail(`no place for ${JSON.stringify(text)}`)
  }
  t.end()
})

t.test('a path is written as one would say it', (t) => {
  t.equal(pathText(['connectors', 0, 'config', 'my.key']), 'connectors[0].config["my.key"]')
  t.equal(pathText(['$schema']), '$schema')
  t.equal(pathText([]), '')
  t.end()
})
