// YAML and JSON that two readers could read differently: documents, markers, directives, line ends, anchors, merge keys,
// flow style, repeated keys.
import { stringify } from 'yaml'
import { SCALARS } from './kube_mutation_values.ts'
import type { Mutation } from './kube_mutations.ts'

function small(claim: string): string {
  return `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: https://a.example.com
    audiences: [kube]
  claimMappings:
    username:
      claim: ${claim}
      prefix: ''
`
}

function as(rule: string, says: string, text: string): Mutation {
  return { rule, says, text }
}

export function textMutations(good: Readonly<Record<string, unknown>>): readonly Mutation[] {
  const text = stringify(good)
  const json = JSON.stringify(good)
  const base = small('sub')
  const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n'
  return [
    ...SCALARS.map((scalar) => as('YAML scalar', `claim: ${scalar}`, small(scalar))),
    ...text
      .split('\n')
      .flatMap((line, index, lines) =>
        /^\s*[\w.]+: \S/.test(line) && !/[|>]-?$/.test(line)
          ? [as('twice', `line ${index + 1} twice`, lines.toSpliced(index, 0, line).join('\n'))]
          : [],
      ),
    as('document', 'nothing', ''),
    as('document', 'a line break', '\n'),
    as('document', 'a comment', '# nothing\n'),
    as('document', 'null', 'null\n'),
    as('document', 'a text', 'text\n'),
    as('document', 'a list', '- a\n'),
    as('document', 'an empty mapping', '{}\n'),
    as('document', 'head alone', head),
    as('document', 'jwt: null', `${head}jwt:\n`),
    as('document', 'jwt: []', `${head}jwt: []\n`),
    as('document', 'metadata', `${head}metadata: {}\n`),
    as('document', 'a second document', `${base}---\nfoo: bar\n`),
    as('document', 'a broken second document', `${base}---\nfoo: [\n`),
    as('document', 'an empty first document', `---\n---\n${base}`),
    as('document', 'a comment before the marker', `# c\n---\n${base}`),
    as('document', 'a marker at the end', `${base}---\n`),
    as('document', 'an end marker', `${base}...\n`),
    as('document', 'text behind the end marker', `${base}...\nfoo\n`),
    as('document', '%YAML 1.1', `%YAML 1.1\n---\n${base}`),
    as('document', '%YAML 1.2', `%YAML 1.2\n---\n${base}`),
    as('document', '%TAG', `%TAG ! tag:example.com,2026:\n---\n${base}`),
    as('document', 'a byte order mark', `\uFEFF${base}`),
    as('document', 'CRLF', base.replaceAll('\n', '\r\n')),
    as('document', 'CR', base.replaceAll('\n', '\r')),
    as('document', 'a tab as indentation', base.replace('    url', '\turl')),
    as('document', 'a tab behind the colon', base.replace('url: ', 'url:\t')),
    as('document', 'trailing tabs', base.replace('[kube]', '[kube]\t')),
    as('document', 'a control character', base.replace('[kube]', '[ku\u0007be]')),
    as('document', 'DEL', base.replace('[kube]', '[ku\u007Fbe]')),
    as('document', 'NEL', base.replace('[kube]', '["ku\u0085be"]')),
    as('document', 'a replacement character in a comment', `# \u00e9\u2028\n${base}`),
    as('document', 'an emoji', base.replace('[kube]', '["\u{1F600}"]')),
    as('document', 'wrong indentation', base.replace('    audiences', '   audiences')),
    as('document', 'no blank behind the colon', base.replace('url: ', 'url:')),
    as(
      'document',
      'a flow list over lines',
      base.replace('[kube]', '[\n      kube,\n      other\n    ]\n    audienceMatchPolicy: MatchAny'),
    ),
    as('document', 'a flow list closed at the margin', base.replace('[kube]', '[\n  kube\n]')),
    as('document', 'a flow list with a comma at its end', base.replace('[kube]', '[kube,]')),
    as('document', 'a flow list with an empty item', base.replace('[kube]', '[kube,,]')),
    as(
      'document',
      'a flow mapping',
      base.replace(/username:\n.*\n.*\n/, 'username: { claim: sub, prefix: "" }\n'),
    ),
    as(
      'document',
      'a flow mapping without blank',
      base.replace(/username:\n.*\n.*\n/, 'username: {claim: sub, prefix:}\n'),
    ),
    as('document', 'a list not indented', base.replace('audiences: [kube]', 'audiences:\n    - kube')),
    as('document', 'a plain text over two lines', base.replace('claim: sub', 'claim: su\n        b')),
    as('document', 'a quoted text over two lines', base.replace('claim: sub', 'claim: "su\n        b"')),
    as('document', 'a folded text', base.replace('claim: sub', 'claim: >-\n        sub')),
    as(
      'document',
      'a folded text that keeps its end',
      base.replace('claim: sub', 'claim: >+\n        sub\n'),
    ),
    as('document', 'a block with an indicator', base.replace('claim: sub', 'claim: |2\n          sub')),
    as(
      'document',
      'an anchor and its alias',
      base
        .replace('[kube]', '&a [kube]')
        .replace("prefix: ''", "prefix: ''\n    groups: {claim: groups, prefix: ''}"),
    ),
    as(
      'document',
      'an alias as a value',
      `${head}jwt:\n- issuer: {url: &u 'https://a.example.com', audiences: [*u]}\n  claimMappings: {username: {claim: sub, prefix: ''}}\n`,
    ),
    as(
      'document',
      'an alias before its anchor',
      `${head}jwt:\n- issuer: {url: *u, audiences: [&u a]}\n  claimMappings: {username: {claim: sub, prefix: ''}}\n`,
    ),
    as(
      'document',
      'merged keys',
      `${head}jwt:\n- issuer: &i {url: 'https://a.example.com', audiences: [a]}\n  claimMappings: {username: {<<: {claim: sub}, prefix: ''}}\n`,
    ),
    as(
      'document',
      'merged keys that stand already',
      `${head}jwt:\n- issuer: {url: 'https://a.example.com', audiences: [a]}\n  claimMappings: {username: {<<: {claim: sub}, claim: x, prefix: ''}}\n`,
    ),
    as(
      'document',
      'merged keys of a list',
      `${head}jwt:\n- issuer: {url: 'https://a.example.com', audiences: [a]}\n  claimMappings: {username: {<<: [{claim: sub}, {prefix: ''}]}}\n`,
    ),
    as(
      'document',
      'merged keys of a text',
      `${head}jwt:\n- issuer: {url: 'https://a.example.com', audiences: [a]}\n  claimMappings: {username: {<<: sub, claim: sub, prefix: ''}}\n`,
    ),
    as(
      'document',
      'a quoted merge key',
      `${head}jwt:\n- issuer: {url: 'https://a.example.com', audiences: [a]}\n  claimMappings: {username: {"<<": {claim: sub}, prefix: ''}}\n`,
    ),
    as('document', 'an anchor of its own', `${head}x-common: &c {claim: sub}\njwt: []\n`),
    as('document', 'a key with a question mark', base.replace('kind: Auth', '? kind\n: Auth')),
    as('document', 'a quoted key', base.replace('kind:', '"kind":')),
    as('document', 'a tagged mapping', base.replace('username:', 'username: !!map')),
    as('document', 'a mapping with a tag of its own', base.replace('username:', 'username: !own')),
    as('document', 'a key that is a list', `${base}? [a]\n: b\n`),
    as('document', 'a key that is null', `${base}~: b\n`),
    as('document', 'a key that is a number', `${base}1: b\n`),
    as('JSON', 'JSON', json),
    as('JSON', 'JSON with blanks', `\n  ${JSON.stringify(good, null, 2)}\n`),
    as('JSON', 'JSON with tabs', JSON.stringify(good, null, '\t')),
    as('JSON', 'JSON with a comma at its end', json.replace(/\}$/, ',}')),
    as('JSON', 'JSON with a comment', `${json}\n# c`),
    as('JSON', 'JSON and more', `${json}{}`),
    as('JSON', 'JSON behind a marker', `---\n${json}`),
    as('JSON', 'JSON behind a comment', `# c\n${json}`),
    as('JSON', 'JSON with single quotes', json.replaceAll('"', "'")),
    as('JSON', 'JSON with a repeated key', json.replace('{', '{"kind":"AuthenticationConfiguration",')),
    as(
      'JSON',
      'JSON with a repeated inner key',
      json.replace('"claim":"sub"', '"claim":"sub","claim":"sub"'),
    ),
    as('JSON', 'JSON with a key in capitals', json.replace('"kind"', '"Kind"')),
    as('JSON', 'JSON with a number', json.replace('"claim":"sub"', '"claim":1')),
    as('JSON', 'JSON with an escape', json.replace('"sub"', '"\\u0073ub"')),
    as('JSON', 'JSON with a lone surrogate', json.replace('"sub"', '"\\ud800"')),
    as('JSON', 'JSON with a line break in a text', json.replace('"sub"', '"su\nb"')),
    as(
      'JSON',
      'a flow mapping as the whole',
      '{apiVersion: apiserver.config.k8s.io/v1, kind: AuthenticationConfiguration}\n',
    ),
    as('JSON', 'a JSON list', `[${json}]`),
    as('JSON', 'a byte order mark before JSON', `\uFEFF${json}`),
    as('JSON', 'JSON with 1e400', json.replace('"sub"', '1e400')),
  ]
}
