// `sallyport kube lint` as people call it: places, embedded files, exit codes, JSON.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { issueCertificate, makeAuthority } from '../../src/platform/dev_certificate_authority.ts'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { GOOD_FILE } from '../support/kube_lint_examples.ts'

const LINT = ['kube', 'lint']

async function lint(text: string, ...flags: readonly string[]): Promise<CliRun> {
  return runCli([...LINT, '-', ...flags], { stdin: text })
}

const HTTP = GOOD_FILE.replace('url: https:', 'url: http:')
const indented = (text: string, by: number): string => text.replaceAll(/^(?=.)/gm, ' '.repeat(by))

t.test('a file that is no YAML is called so after a few places', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'README.md'), '# Title\n\n```sh\nrun: this\nand that\n```\n\n`a` b: c\n'.repeat(20))
  writeFileSync(join(cwd, 'one.yaml'), 'a: [\n')
  const run = await runCli([...LINT, 'README.md'], { cwd })
  t.match(run, { code: 1, stdout: /and \d+ more of these: this is no YAML\n {4}-> name the file of/ })
  t.match(run.stdout, 'would refuse this file: 4 refusals')
  const one = await runCli([...LINT, 'one.yaml'], { cwd })
  t.equal(one.code, 1)
  t.notMatch(one.stdout, 'this is no YAML')
})

t.test('a good file is nothing to speak of', async (t) => {
  const run = await lint(GOOD_FILE)
  t.strictSame(run, {
    code: 0,
    stdout: 'stdin: kube-apiserver would load this file: nothing to say\n',
    stderr: '',
  })
})

t.test('what the apiserver refuses is told with its place, and exit code 1', async (t) => {
  const run = await lint(HTTP)
  t.equal(run.code, 1)
  t.match(run.stdout, /^stdin:5:7: refused url_not_https \(jwt\[0\]\.issuer\.url\): the scheme is http;/)
  t.match(run.stdout, / {4}-> write https:\/\//)
  t.match(run.stdout, /would refuse this file: 1 refusal\n$/)
})

t.test('warnings alone are exit code 0, an error is 1', async (t) => {
  const warned = await lint(GOOD_FILE.replace('      uid: { claim: uid }\n', ''))
  t.match(warned, { code: 0, stdout: /would load this file: 1 warning\n$/ })
  const wrong = await lint(GOOD_FILE.replace("claims.sub != ''", "claims.sub != '' && 'a' in claims"))
  t.match(wrong, { code: 1, stdout: /error in_on_claims.*\n.*\n.*would load this file: 1 error\n$/s })
})

const EXPRESSIONS: readonly (readonly [string, string, string])[] = [
  ['a plain text', 'expression: claims.exp - claims.iat <= 900.0 && nosuch', '10:57'],
  ['single quotes', "expression: 'claims.exp - claims.iat <= 900.0 && nosuch'", '10:58'],
  [
    'a literal block',
    'expression: |-\n          claims.exp - claims.iat <= 900.0\n            && nosuch',
    '12:16',
  ],
  [
    'a folded block',
    'expression: >-\n          claims.exp - claims.iat <= 900.0\n          && nosuch',
    '12:14',
  ],
]

for (const [says, expression, place] of EXPRESSIONS) {
  t.test(`an error inside an expression is told where it stands in ${says}`, async (t) => {
    const run = await lint(GOOD_FILE.replace('expression: claims.exp - claims.iat <= 900.0', expression))
    t.match(
      run.stdout,
      `stdin:${place}: refused expression_invalid (jwt[0].claimValidationRules[1].expression)`,
    )
    t.match(run.stdout, 'undeclared reference')
  })
}

/** Without apiVersion and kind. */
const BODY = HTTP.split('\n').slice(2).join('\n')

const HOMES: readonly { says: string; text: string; line: number; foundIn: string }[] = [
  {
    says: 'a ConfigMap',
    text: `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: oidc }\ndata:\n  config.yaml: |\n${indented(HTTP, 4)}`,
    line: 10,
    foundIn: 'ConfigMap oidc, data["config.yaml"]',
  },
  {
    says: 'a Talos patch',
    text: `machine:\n  files:\n    - path: /var/lib/auth.yaml\n      content: |\n${indented(HTTP, 8)}`,
    line: 9,
    foundIn: 'YAML, machine.files[0].content',
  },
  {
    says: 'a KubeadmControlPlane',
    text: `kind: KubeadmControlPlane\nspec:\n  kubeadmConfigSpec:\n    files:\n      - content: |\n${indented(HTTP, 10)}`,
    line: 10,
    foundIn: 'KubeadmControlPlane, spec.kubeadmConfigSpec.files[0].content',
  },
  {
    says: 'Helm values with the document as keys',
    text: `proxy:\n  authenticationConfig:\n${indented(BODY, 4)}`,
    line: 5,
    foundIn: 'YAML, proxy.authenticationConfig',
  },
  {
    says: 'a document of Talos 1.14, behind another one',
    text: `machine: {}\n---\napiVersion: v1alpha1\nkind: KubeAuthenticationConfig\nconfiguration:\n${indented(BODY, 2)}`,
    line: 8,
    foundIn: 'KubeAuthenticationConfig, configuration',
  },
  {
    says: 'variables of kubespray',
    text: `kube_version: 1.34.0\nkube_apiserver_authentication_config_${BODY}`,
    line: 4,
    foundIn: 'YAML, kube_apiserver_authentication_config_jwt',
  },
  {
    says: 'variables of kubespray in an inventory',
    text: `all:\n  vars:\n    kube_apiserver_authentication_config_${indented(BODY, 4).trimStart()}`,
    line: 5,
    foundIn: 'YAML, all.vars.kube_apiserver_authentication_config_jwt',
  },
  {
    says: 'the second document of a manifest',
    text: `kind: Namespace\n---\nkind: ConfigMap\ndata:\n  a: |\n${indented(HTTP, 4)}`,
    line: 10,
    foundIn: 'ConfigMap, data.a',
  },
  {
    says: 'a file inside values inside an Application',
    text: `kind: Application\nspec:\n  values: |\n    files:\n      auth.yaml: |\n${indented(HTTP, 8)}`,
    line: 10,
    foundIn: 'Application, spec.values > YAML, files["auth.yaml"]',
  },
  {
    says: 'a quoted text',
    text: `kind: ConfigMap\ndata:\n  a: ${JSON.stringify(HTTP)}\n`,
    line: 3,
    foundIn: 'ConfigMap, data.a',
  },
  {
    says: 'a Secret in base64',
    text: `kind: Secret\ndata:\n  auth.yaml: ${Buffer.from(HTTP).toString('base64')}\n`,
    line: 3,
    foundIn: 'Secret, data["auth.yaml"]',
  },
]

for (const { says, text, line, foundIn } of HOMES) {
  t.test(`a configuration in ${says} is found, with its true line`, async (t) => {
    const run = await lint(text)
    t.match(run.stdout, `stdin:${line}:`)
    t.match(run.stdout, 'refused url_not_https')
    t.match(run.stdout, `would refuse this file (${foundIn})`)
    t.match(await lint(text.replace('http:', 'https:')), { code: says === 'a Secret in base64' ? 1 : 0 })
  })
}

t.test(
  'what a tool writes out has the version that its release reads, and parts where they stand',
  async (t) => {
    const body = BODY.replace('http:', 'https:')
    const anonymous = 'kube_apiserver_authentication_config_anonymous:\n  enabled: 1\n'
    const spray = `kube_apiserver_authentication_config_${body}`
    t.match(await lint(spray, '--kubernetes-version', '1.33'), { code: 0, stdout: /nothing to say/ })
    t.match(await lint(`${anonymous}${spray}`), {
      code: 1,
      stdout: /^stdin:2:3: refused field_type \(anonymous\.enabled\)/m,
    })
    t.match(await lint(`${anonymous.replace('1', 'true')}${spray}`), { code: 0 })
    const talos = `apiVersion: v1alpha1\nkind: KubeAuthenticationConfig\nconfiguration:\n${indented(body, 2)}`
    t.match(await lint(talos.replace('audiences:', 'audience:')), {
      code: 1,
      stdout: /stdin:7:9: refused field_unknown \(jwt\[0\]\.issuer\.audience\)/,
    })
    t.match(await lint(talos), { code: 0, stdout: /nothing to say/ })
  },
)

t.test('JSON has one entry for each configuration', async (t) => {
  const two = `kind: ConfigMap\ndata:\n  a: |\n${indented(GOOD_FILE, 4)}  b: |\n${indented(HTTP, 4)}`
  const run = await lint(two, '--json')
  t.equal(run.code, 1)
  t.match(JSON.parse(run.stdout), {
    loads: false,
    sources: [
      { foundIn: 'ConfigMap, data.a', loads: true, problems: [] },
      {
        foundIn: 'ConfigMap, data.b',
        loads: false,
        problems: [{ severity: 'refused', code: 'url_not_https', path: 'jwt[0].issuer.url', file: 'stdin' }],
      },
    ],
  })
})

t.test('an older release refuses what it does not know', async (t) => {
  t.match(await lint(GOOD_FILE, '--kubernetes-version', '1.33'), {
    code: 1,
    stdout: /version_unknown_to_release/,
  })
  t.match(await lint(GOOD_FILE, '--kubernetes-version', 'v1.34.2'), { code: 0 })
  t.match(await lint(GOOD_FILE, '--kubernetes-version', '1.29'), {
    code: 2,
    stderr: /none of 1\.30 to 1\.37/,
  })
})

const ruled = (expression: string): string => GOOD_FILE.replace("claims.sub != ''", expression)

t.test('an expression is judged by what its release has, and which other one takes it is told', async (t) => {
  const sorted = ruled("claims.roles.split(',').sort() == ['a']").replace('io/v1', 'io/v1beta1')
  const told = await lint(sorted, '--kubernetes-version', '1.33')
  t.match(told.stdout, /expression_unknown_to_release .*: compilation failed: undeclared reference to 'sort'/)
  t.match(told.stdout, /-> only Kubernetes 1\.34 and later take it/)
  t.match(await lint(sorted, '--kubernetes-version', '1.34'), { code: 0 })
  const waits = ruled("duration(int(claims.exp)) > duration('1s')")
  t.match(await lint(waits), { code: 0 })
  const gone = await lint(waits, '--kubernetes-version', '1.37')
  t.match(gone.stdout, /-> only Kubernetes 1\.36 and before take it/)
})

t.test('the service account issuer of the apiserver is no further issuer', async (t) => {
  const own = ['--service-account-issuer', 'https://sallyport.example.com']
  t.match(await lint(GOOD_FILE, ...own), { code: 1, stdout: /issuer_of_service_accounts/ })
})

function written(t: Test, text: string | Uint8Array): string {
  const file = join(folder(t), 'auth.yaml')
  writeFileSync(file, text)
  return file
}

t.test('a file is named as it was given; one that is not there is told', async (t) => {
  const file = written(t, HTTP)
  t.match((await runCli([...LINT, file])).stdout, `${file}:5:7: refused`)
  t.match(await runCli([...LINT, '/nonexistent/auth.yaml']), { code: 1, stderr: /cannot be read/ })
})

t.test('bytes that are no UTF-8 are told where they stand', async (t) => {
  const bytes = Buffer.from(GOOD_FILE.replace('the subject', 'the s\u00fcbject'), 'latin1')
  const run = await runCli([...LINT, written(t, bytes)])
  t.match(run, { code: 1, stdout: /auth\.yaml:13:23: refused yaml_not_readable: .*\(0xfc\)/ })
  t.match(await runCli([...LINT, written(t, Buffer.from(GOOD_FILE))]), { code: 0 })
})

t.test('flags of the cluster without --cluster are a wrong call', async (t) => {
  t.match(await lint(GOOD_FILE, '--context', 'x'), { code: 2, stderr: /go with --cluster/ })
})

t.test('an issuer steers no terminal, and writes no line of its own', async (t) => {
  const authority = await makeAuthority(['localhost'], Date.now())
  const { certPem, keyPem } = await issueCertificate(authority, ['localhost'], Date.now())
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    const isDiscovery = request.url?.endsWith('/openid-configuration') === true
    const keys = [{ kty: 'AK\u001B[31mP', kid: 'k\n    -> run this' }]
    response.end(JSON.stringify(isDiscovery ? { issuer: url, jwks_uri: `${url}/keys` } : { keys }))
  })
  server.listen(0)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  const url = `https://localhost:${typeof address === 'object' ? address?.port : ''}`
  const issuer = `{ url: ${url}, audiences: [kube], certificateAuthority: ${JSON.stringify(authority.certPem)} }`
  const mapping = '{ username: { claim: sub, prefix: "ci:" }, uid: { claim: sub } }'
  const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n'
  const run = await lint(`${head}jwt: [{ issuer: ${issuer}, claimMappings: ${mapping} }]\n`, '--issuers')
  t.equal(run.code, 1)
  t.match(run.stdout, 'key 1 (kid k\\u000a    -> run this)')
  t.match(run.stdout, String.raw`unknown json web key type 'AK\u001b[31mP'`)
  t.notOk(run.stdout.includes('\u001B'))
  t.notMatch(run.stdout, /^ {4}-> run this/m)
})

t.test('hostile input ends in a finding, not in a crash', async (t) => {
  const inputs = [
    '',
    '\u0000',
    '[['.repeat(5000),
    '{'.repeat(5000),
    `a: ${'x'.repeat(2_000_000)}`,
    '&a [*a]',
    '- - - -',
    '\uFEFF',
  ]
  for (const input of inputs) t.equal((await lint(input)).code, 1, JSON.stringify(input.slice(0, 20)))
})
