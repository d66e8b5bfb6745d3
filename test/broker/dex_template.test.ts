// The two ways in which a Dex file names variables: gomplate before it is YAML, os.ExpandEnv in three places after.
import t from 'tap'
import { goExpand } from '../../src/broker/config/dex/env_expansion.ts'
import { renderTemplate } from '../../src/broker/config/dex/gomplate.ts'
import type { TemplateEnv } from '../../src/broker/config/dex/gomplate.ts'

const ENV: TemplateEnv = {
  env: { HOST: 'dex.example.test', EMPTY: '', TOKEN_FILE: '/run/token', GONE_FILE: '/run/gone' },
  readFile: (path) => {
    if (path !== '/run/token') throw new Error('ENOENT')
    return 'from-file\n'
  },
}

const RENDERED: readonly (readonly [source: string, text: string])[] = [
  ['no template', 'no template'],
  ['a {{ .Env.HOST }} b', 'a dex.example.test b'],
  ['{{.Env.HOST}}', 'dex.example.test'],
  ['{{ getenv "HOST" }}', 'dex.example.test'],
  ['{{ env.Getenv `HOST` }}', 'dex.example.test'],
  ['{{ getenv "NO" }}', ''],
  ['{{ getenv "NO" "x: y" }}', 'x: y'],
  ['{{ getenv "EMPTY" "default" }}', 'default'],
  ['{{ getenv "TOKEN" }}', 'from-file'],
  ['{{ getenv "GONE" "default" }}', 'default'],
  ['{{ getenv "HOST" | required "no host" }}', 'dex.example.test'],
  ['{{ getenv "NO" | default "other" }}', 'other'],
  ['a\n{{- /* a comment */ -}}\nb', 'ab'],
  ['a\n  {{- .Env.HOST }} b', 'adex.example.test b'],
  ['a {{ .Env.HOST -}}\n b', 'a dex.example.testb'],
  ['{{ if getenv "HOST" }}yes{{ else }}no{{ end }}', 'yes'],
  ['{{ if getenv "NO" }}yes{{ else }}no{{ end }}', 'no'],
  ['{{ if getenv "NO" }}{{ .Env.NO }}{{ end }}', ''],
  ['{{ if getenv "NO" }}1{{ else if getenv "HOST" }}2{{ else }}3{{ end }}', '2'],
  ['{{ if getenv "HOST" }}1{{ else if getenv "HOST" }}2{{ else }}3{{ end }}', '1'],
  ['{{ if getenv "NO" }}{{ if getenv "HOST" }}1{{ else }}2{{ end }}{{ else }}3{{ end }}', '3'],
]

for (const [source, text] of RENDERED) {
  t.test(`${JSON.stringify(source)} is rendered as gomplate renders it`, async (t) => {
    const template = renderTemplate(source, ENV)
    t.equal(template.text, text)
    t.same(template.problems, [])
  })
}

const REFUSED: readonly (readonly [source: string, code: string, offset: number])[] = [
  ['a {{ .Env.NO }}', 'template_variable_unset', 2],
  ['{{ getenv "NO" | required "say NO" }}', 'template_variable_unset', 0],
  ['{{ exec "rm" }}', 'template_action', 0],
  ['{{ file.Read "/etc/passwd" }}', 'template_action', 0],
  ['{{ (datasource "x").y }}', 'template_action', 0],
  ['{{ range .Env }}x{{ end }}', 'template_action', 0],
  ['{{ .Values.issuer }}', 'template_action', 0],
  ['{{ getenv "HOST" | quote }}', 'template_action', 0],
  ['{{ getenv "HO\\"ST" }}', 'template_action', 0],
  ['x {{ .Env.HOST', 'template_unclosed', 2],
  ['{{ if getenv "HOST" }}x', 'template_unclosed', 0],
]

for (const [source, code, offset] of REFUSED) {
  t.test(`${JSON.stringify(source)} is refused where it stands`, async (t) => {
    t.match(renderTemplate(source, ENV).problems[0], { code, offset })
  })
}

// What Go 1.26's os.Expand gives with HOME=/root, A=1 and all else empty.
const EXPANDED: readonly (readonly [source: string, text: string])[] = [
  ['', ''],
  ['plain', 'plain'],
  ['$A', '1'],
  ['${A}', '1'],
  ['x${A}y$A', 'x1y1'],
  ['$A_B', ''],
  ['${A}_B', '1_B'],
  ['$', '$'],
  ['a$', 'a$'],
  ['$ A', '$ A'],
  ['$-', ''],
  ['$$', ''],
  ['$$A', 'A'],
  ['pa$$word', 'paword'],
  ['$1x', 'x'],
  ['${}', ''],
  ['${}x', 'x'],
  ['${A', 'A'],
  ['${', ''],
  ['a.${A}.b', 'a.1.b'],
  ['$dex.github', '.github'],
  ['$\u00e4', '$\u00e4'],
]

for (const [source, text] of EXPANDED) {
  t.test(`${JSON.stringify(source)} is expanded as Go expands it`, async (t) => {
    t.equal(
      goExpand(source, (name) => (name === 'A' ? '1' : '')),
      text,
    )
  })
}
