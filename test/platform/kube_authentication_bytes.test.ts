// The bytes of a file, before they are a text: what is no UTF-8 is told with its place, and what an apiserver would hash
// is kept as it stands.
import t from 'tap'
import { lintSource } from '../../src/cli/kube/lint_findings.ts'
import { kubeVersion } from '../../src/core/kube/kube_version.ts'
import { readAuthenticationFile } from '../../src/platform/kube/authentication_file.ts'
import type { AuthenticationSource } from '../../src/platform/kube/authentication_file.ts'
import { BYTES_CASES } from '../support/kube_bytes.ts'
import { GOOD_FILE } from '../support/kube_lint_examples.ts'

function sourceOf(content: string | Uint8Array): AuthenticationSource {
  const [source] = readAuthenticationFile('a.yaml', content)
  if (source === undefined) throw new Error('there is always one')
  return source
}

for (const { says, bytes, loads, found } of BYTES_CASES) {
  t.test(`${says}: ${loads ? 'would load' : 'would be refused'}, ${found || 'nothing to say'}`, async (t) => {
    const source = sourceOf(bytes)
    const version = kubeVersion('1.36')
    if (version === undefined) throw new Error('1.36 is known')
    const linted = lintSource(source, { version, serviceAccountIssuers: [] })
    t.equal(linted.loads, loads)
    const told = linted.findings.map(({ place, code, message }) => {
      const shown = /\((0x[^)]*|half a character)\)/.exec(message)?.[1] ?? ''
      return `${place?.line}:${place?.column} ${code} ${shown}`
    })
    t.strictSame(told, found === '' ? [] : [found])
    t.ok(source.bytes?.equals(bytes), 'what the apiserver hashes')
  })
}

t.test('a text that stands in another file has its own bytes, keys of another file have none', async (t) => {
  const indented = GOOD_FILE.replaceAll(/^(?=.)/gm, '    ')
  const map = `kind: ConfigMap\ndata:\n  a: |\n${indented}`
  t.equal(sourceOf(Buffer.from(map)).bytes?.toString(), GOOD_FILE)
  const broken = Buffer.concat([Buffer.from(`${GOOD_FILE}# `), Buffer.from([0xff])])
  const secret = sourceOf(Buffer.from(`kind: Secret\ndata:\n  a: ${broken.toString('base64')}\n`))
  t.ok(secret.bytes?.equals(broken))
  t.match(secret.findings, [{ code: 'yaml_not_readable', place: { line: 3 } }])
  const keys = `proxy:\n  authenticationConfig:\n${indented}`
  t.match(sourceOf(Buffer.from(keys)), { foundIn: 'YAML, proxy.authenticationConfig', bytes: undefined })
})
