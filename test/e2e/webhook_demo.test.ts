// The webhook's demo as a person starts it: on real servers, and on a machine that has none.
import { execFile } from 'node:child_process'
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { folder } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { peerOrSkip } from '../support/peers.ts'

const { skip } = await peerOrSkip(() => kubeBinaries())
t.setTimeout(300_000)

const RUN = join(import.meta.dirname, '../demo/run.ts')

function demo(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<CliRun> {
  const { promise, resolve } = Promise.withResolvers<CliRun>()
  execFile(process.execPath, [RUN, ...args], { env, timeout: 240_000 }, (error, stdout, stderr) =>
    resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
  )
  return promise
}

const SHOWN: readonly (readonly [title: string, line: RegExp])[] = [
  ['the policy that is used is shown', /\$ cat pipelines\.yaml\n[^$]*name: pipelines\n[^$]*maintainers/],
  [
    'adopting tells what a policy would say',
    /\$ sallyport webhook adopt -f pipelines\.yaml\n.*\n.*\n {4}denied {2}WH-M4 /,
  ],
  [
    'the owning pipeline publishes',
    /"value":\{"version":"1\.2\.0"\}\}\]'\n {2}module\.opendepot\.defdev\.io\/terraform-aws-vpc patched\n/,
  ],
  [
    'the ledger says who did',
    /^ {2}1\.2\.0 {2}present {2}immutable {2}\S+Z {2}by ci:github:739500857 {2}commit 9f2c1d7e5b0a/m,
  ],
  [
    'another pipeline is denied',
    /^ {2}Error from server \(Forbidden\): .* WH-P1: version 1\.3\.0 may not be published by /m,
  ],
  [
    'a re-tag is denied at kubectl, with a way out',
    /^ {2}Error from server \(Forbidden\): .* WH-V3: version 1\.2\.0 was published .* Instead: .* kubectl patch module /m,
  ],
  [
    'the way out works',
    /^ {2}\$ kubectl patch .*"1\.3\.0"\}\}\]'\n {2}module\.opendepot\.defdev\.io\/terraform-aws-vpc patched\n/m,
  ],
  ['the review denies it before the merge', /^ {2}modules\/terraform-aws-vpc\.yaml:\d+:\d+: deny WH-V3 /m],
  [
    'the ledger says what was unpublished',
    /^ {2}1\.1\.0 {2}unpublished {2}immutable {2}taken away by jo .* because: a key in its examples$/m,
  ],
  ['what is unpublished does not come back', /WH-V2: version 1\.1\.0 was published before/],
  ['without the webhook nothing is written', /kill -9 \d+\n[^]*failed calling webhook .* connection refused/],
  [
    'after its restart a re-tag is denied',
    /The webhook is back[^]*WH-V3: version 1\.2\.0 was published from commit/,
  ],
  ['everything is stopped', /--- Everything is stopped\n/],
  ['every assertion held', /^([1-9]\d*) of \1 assertions held\.$/m],
]

t.test('the demo of the webhook comes out as it tells', { skip }, async (t) => {
  const { code, stdout, stderr } = await demo(['webhook'])
  for (const [title, line] of SHOWN) t.match(stdout, line, title)
  t.equal(code, 0)
  t.equal(stderr, '')
  t.notMatch(stdout, /eyJ[A-Za-z0-9_-]{10}/, 'no token is shown')
  t.comment(/^It took \d+ s\.$/m.exec(stdout)?.[0] ?? 'it does not say how long it took')
})

t.test('without real servers and without Go it says what it needs', async (t) => {
  const env = { PATH: folder(t), HOME: folder(t), SALLYPORT_CACHE: join(folder(t), 'cache') }
  const { code, stdout, stderr } = await demo(['webhook'], env)
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^\nThe demo runs a real kube-apiserver, and there is none: .*go.*ENOENT/)
  t.match(stderr, /Go 1\.26 on the PATH, which builds kube-apiserver and etcd once, in about ten minutes/)
  t.match(stderr, /KUBEBUILDER_ASSETS=FOLDER/)
})

t.test('a build that takes long is told of, and one that fails says why', async (t) => {
  const bin = folder(t)
  writeFileSync(
    join(bin, 'go'),
    '#!/bin/sh\n[ "$1" = env ] && { echo go1.26; exit 0; }\nsleep 3\necho "no network" >&2\nexit 1\n',
  )
  chmodSync(join(bin, 'go'), 0o755)
  symlinkSync(process.execPath, join(bin, 'node'))
  const env = { PATH: `${bin}:/usr/bin:/bin`, HOME: folder(t), SALLYPORT_CACHE: join(folder(t), 'cache') }
  const { code, stdout, stderr } = await demo(['webhook'], env)
  t.equal(code, 1)
  t.equal(stdout, 'Building etcd 3.6, about a minute on two cores, this once.\n')
  t.match(stderr, /there is none: [^]*no network/)
})

t.test('a demo that does not exist is not played', async (t) => {
  t.match(await demo(['webhok']), {
    code: 2,
    stdout: '',
    stderr: 'usage: npm run demo [-- broker|webhook]\n',
  })
})
