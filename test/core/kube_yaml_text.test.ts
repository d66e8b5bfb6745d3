// The YAML that we print for apiservers and kubectl: any text comes back as that text, from YAML 1.1 and 1.2 readers.
import t from 'tap'
import { parse } from 'yaml'
import { printYaml, yamlMap } from '../../src/core/kube/yaml_text.ts'
import type { YamlValue } from '../../src/core/kube/yaml_text.ts'

function print(value: YamlValue, why?: string): string {
  return printYaml('Heading.', yamlMap([{ key: 'key', why, value }]))
}

const TEXTS = [
  '',
  ' ',
  'plain',
  'https://host.example:8443/path',
  'ci:',
  'ci:gitlab:acme/vpc',
  'a: b',
  'a #b',
  '# a',
  '- a',
  '@a',
  '%a',
  '*',
  '&a',
  '!a',
  '!user.username',
  '{a}',
  '[a]',
  "it's",
  'say "it"',
  `both ' and "`,
  'back\\slash',
  'line\nbreak',
  '\ttab',
  'trailing ',
  '\u0085\u2028\u2029\uFEFF\u007f\u0000',
  'żółw 🐢',
  ...'yes no on off y n true false null ~ Null NO .inf .nan 1 -1 0x1F 0o7 1e3 1_000 12:30:45 2026-11-21 <<  ='.split(
    ' ',
  ),
]

/** The texts that YAML 1.1 or 1.2 reads as something else, in one of the places where we write texts. */
function misread(texts: readonly string[]): readonly string[] {
  const items = texts.map((text) => ({ value: yamlMap([{ key: 'text', value: text }]) }))
  const readings = (['1.1', '1.2'] as const).flatMap((version): readonly unknown[][] => {
    const read = (value: YamlValue): unknown[] => Object(parse(print(value), { version })).key
    return [
      read({ kind: 'words', words: texts }),
      read({ kind: 'list', items: texts.map((text) => ({ value: text })) }),
      read({ kind: 'list', items }).map((item) => Object(item).text),
    ]
  })
  return texts.filter((text, index) => readings.some((reading) => reading[index] !== text))
}

t.test('every text comes back as itself, in YAML 1.1 and 1.2', async (t) => {
  t.strictSame(misread(TEXTS), [])
  for (const text of TEXTS.filter((one) => one !== '<<'))
    t.strictSame(parse(print(yamlMap([{ key: text, value: 'x' }]))).key, { [text]: 'x' })
})

t.test('every text of one and two odd characters comes back as itself', async (t) => {
  const odd = [
    ...Array.from({ length: 0x100 }, (_, code) => String.fromCharCode(code)),
    '\u2028',
    '\uFEFF',
    '\uFFFE',
  ]
  const seconds = ' \'"#:-,[]{}\\&*!|>%@`\t\n0e.'.split('')
  const pairs = odd.flatMap((first) => seconds.map((second) => first + second))
  const texts = odd.concat(pairs)
  // A long document takes the reader longer than many short ones.
  const wrong = Array.from({ length: Math.ceil(texts.length / 200) }, (_, part) =>
    misread(texts.slice(part * 200, part * 200 + 200)),
  )
  t.strictSame(wrong.flat(), [])
})

t.test('a text of several lines is a block only where a block reads the same', async (t) => {
  const pem = '-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----'
  t.match(print({ kind: 'block', text: pem }), 'key: |\n  -----BEGIN')
  for (const text of [
    pem,
    `${pem}\n`,
    `${pem}\n\n${pem}`,
    ` ${pem}`,
    `${pem} \n`,
    `${pem}\r\n`,
    `\n${pem}`,
    '',
  ]) {
    const read: string = parse(print({ kind: 'block', text })).key
    t.equal(read.replace(/\n+$/, ''), text.replace(/\n+$/, ''), JSON.stringify(text))
  }
})

t.test('a comment is wrapped, indented and never becomes part of the data', async (t) => {
  const why = `a\rb\u0085c\u2028d\u0000 ${'word '.repeat(60)}\nsecond: line\n\n- third`
  const text = print(yamlMap([{ key: 'inner', why, value: true }]), why)
  t.strictSame(parse(text), { key: { inner: true } })
  t.ok(text.split('\n').every((line) => line.length <= 110))
  t.match(text, '# second: line\n#\n# - third')
})
