// The self-managed certificate over years, by a clock of the test's: what every replica serves is always what the registered
// bundle trusts.
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import { createCertificateKeeper } from '../../webhook/certificate/certificate_keeper.ts'
import type { CertificateKeeper } from '../../webhook/certificate/certificate_keeper.ts'
import { memoryObjects } from '../support/certificate_objects.ts'
import type { MemoryObjects } from '../support/certificate_objects.ts'

const day = 86_400
const start = 1_790_000_000
const hosts = [
  'sallyport-webhook.sallyport-system.svc',
  'sallyport-webhook.sallyport-system.svc.cluster.local',
]
const order = { hosts, lifetimeSeconds: 90 * day }

type World = {
  readonly objects: MemoryObjects
  seconds: number
  readonly lines: { readonly level: string; readonly fields: unknown; readonly message: string }[]
  replica(): Promise<CertificateKeeper>
}

function createWorld(names?: readonly string[]): World {
  const lines: World['lines'] = []
  const logAt = (level: string) => (fields: unknown, message?: string) => {
    lines.push({ level, fields, message: message ?? '' })
  }
  const world: World = {
    objects: memoryObjects(names),
    seconds: start,
    lines,
    replica: () =>
      createCertificateKeeper({
        objects: world.objects,
        order,
        clock: () => world.seconds * 1000,
        log: { info: logAt('info'), warn: logAt('warn'), error: logAt('error') },
      }),
  }
  return world
}

/** Whether a TLS client that goes by the registered bundle would take what the replica serves. */
function isTrusted(world: World, replica: CertificateKeeper): boolean {
  const leaf = new X509Certificate(replica.served().cert)
  return [...(world.objects.bundles?.values() ?? [])].every((bundle) =>
    authoritiesIn(bundle).some((ca) => leaf.verify(ca.publicKey)),
  )
}

function authoritiesIn(bundle: string): readonly X509Certificate[] {
  return (bundle.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map(
    (pem) => new X509Certificate(pem),
  )
}

function bundleSize(world: World): number {
  const [bundle = ''] = world.objects.bundles?.values() ?? []
  return authoritiesIn(bundle).length
}

/** Once, not at each look. */
function onlyLine(t: Test, world: World, level: string, line: Readonly<Record<string, unknown>>): void {
  const lines = world.lines.filter((each) => each.level === level)
  t.equal(lines.length, 1)
  t.match(lines[0], line)
}

t.test('out of nothing: a Secret, a bundle in every webhook, and ready', async (t) => {
  const world = createWorld(['modules.sallyport.dev', 'guard.sallyport.dev'])
  const replica = await world.replica()
  t.equal(replica.missing(), undefined)
  t.ok(isTrusted(world, replica))
  t.equal(world.objects.bundles?.size, 2)
  const leaf = new X509Certificate(replica.served().cert)
  t.equal(leaf.subjectAltName, hosts.map((host) => `DNS:${host}`).join(', '))
  t.equal(leaf.validToDate.getTime() / 1000, start + 90 * day)
  t.same(Object.keys(world.objects.secret ?? {}), ['tls.crt', 'tls.key', 'ca.crt'], 'no key of a CA')
  t.equal(replica.served().endsAt, start + 90 * day)
})

t.test('two replicas at once end with one CA', async (t) => {
  const world = createWorld()
  const [one, two] = await Promise.all([world.replica(), world.replica()])
  t.equal(one.served().cert, two.served().cert)
  t.equal(world.objects.writes.secret, 1)
  t.equal(bundleSize(world), 1)
  t.same([one.missing(), two.missing()], [undefined, undefined])
})

t.test('whoever is second reads what the first wrote between its look and its write', async (t) => {
  const world = createWorld()
  let first: CertificateKeeper | undefined
  world.objects.before = async () => {
    first = await world.replica()
  }
  const second = await world.replica()
  t.equal(second.served().cert, first?.served().cert)
  t.equal(world.objects.writes.secret, 1)
})

t.test('nothing to do: nothing is written', async (t) => {
  const world = createWorld()
  const replica = await world.replica()
  const before = { ...world.objects.writes }
  t.equal(await replica.look(), 30)
  await (await world.replica()).look()
  t.same(world.objects.writes, before)
})

async function livesThrough(
  t: Test,
  world: World,
  replicas: readonly CertificateKeeper[],
  until: number,
  step: number,
) {
  const seen = new Set<string>()
  for (; world.seconds < until; world.seconds += step) {
    for (const replica of replicas) {
      await replica.look()
      for (const each of replicas) {
        if (!isTrusted(world, each))
          return t.fail(`a replica serves what nobody trusts, ${world.seconds - start} s on`)
        seen.add(each.served().cert)
      }
    }
  }
  return seen.size
}

t.test('a rotation: announced, trusted, switched to, forgotten; two replicas, never untrusted', async (t) => {
  const world = createWorld()
  const replicas = [await world.replica(), await world.replica()]
  const first = replicas[0]?.served().cert
  world.seconds = start + 60 * day - 30
  t.equal(
    await livesThrough(t, world, replicas, start + 60 * day + 590, 10),
    1,
    'the old one is still served',
  )
  t.equal(bundleSize(world), 2)
  t.equal(await livesThrough(t, world, replicas, start + 60 * day + 620, 1), 2)
  t.not(replicas[0]?.served().cert, first)
  t.equal(replicas[0]?.served().cert, replicas[1]?.served().cert)
  t.equal(bundleSize(world), 2, 'the CA before stays')
  world.seconds = start + 90 * day
  await livesThrough(t, world, replicas, start + 90 * day + 60, 30)
  t.equal(bundleSize(world), 1, 'until its certificate has ended')
  t.notOk('previous-ca.crt' in (world.objects.secret ?? {}))
})

t.test('both switch at one moment by stored times, without a look in between', async (t) => {
  const world = createWorld()
  const replicas = [await world.replica(), await world.replica()]
  world.seconds = start + 60 * day
  for (const replica of replicas) await replica.look()
  const [before] = replicas.map((replica) => replica.served().cert)
  world.seconds += 599
  t.same(
    replicas.map((replica) => replica.served().cert),
    [before, before],
  )
  world.seconds += 1
  const after = replicas.map((replica) => replica.served().cert)
  t.not(after[0], before)
  t.equal(after[0], after[1])
})

t.test('a bundle that cannot be written holds the switch up, and it is said', async (t) => {
  const world = createWorld()
  const replica = await world.replica()
  const { cert } = replica.served()
  world.objects.refuses.writeBundle = 'patch validatingwebhookconfigurations/sallyport: 403'
  world.seconds = start + 60 * day
  await livesThrough(t, world, [replica], start + 75 * day, 3600)
  t.equal(replica.served().cert, cert)
  onlyLine(t, world, 'error', { fields: { problem: /403/ } })
  t.equal(replica.missing(), undefined, 'what is served is trusted still')
  delete world.objects.refuses.writeBundle
  await livesThrough(t, world, [replica], start + 75 * day + 1200, 60)
  t.not(replica.served().cert, cert)
})

t.test(
  'a deleted Secret: the old one is served until the new one is trusted, then its CA leaves',
  async (t) => {
    const world = createWorld()
    const replicas = [await world.replica(), await world.replica()]
    const first = replicas[0]?.served().cert
    world.objects.secret = undefined
    t.equal(await livesThrough(t, world, replicas, start + 590, 10), 1)
    t.equal(bundleSize(world), 2)
    onlyLine(t, world, 'warn', { message: /made anew/, fields: { problems: ['it was deleted'] } })
    await livesThrough(t, world, replicas, start + 1300, 10)
    t.not(replicas[0]?.served().cert, first)
    t.equal(bundleSize(world), 1)
  },
)

t.test('a deleted Secret that nobody holds any more is made out of nothing', async (t) => {
  const world = createWorld()
  const { cert } = (await world.replica()).served()
  world.objects.secret = undefined
  const replica = await world.replica()
  t.not(replica.served().cert, cert)
  t.equal(bundleSize(world), 1)
  t.ok(isTrusted(world, replica))
})

const foreign = await (async () => {
  const world = createWorld()
  await world.replica()
  return world.objects.secret ?? {}
})()

for (const [what, change, problem] of [
  [
    'the key of another certificate',
    { 'tls.key': foreign['tls.key'] ?? '' },
    'tls.crt: the key is not that of the certificate',
  ],
  [
    'the CA of another',
    { 'ca.crt': foreign['ca.crt'] ?? '' },
    'tls.crt: the CA has not signed the certificate',
  ],
  [
    'garbage',
    { 'tls.crt': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
    'tls.crt: a part is no PEM',
  ],
  ['nothing in a part', { 'tls.key': '' }, 'tls.crt: a part is no PEM'],
  [
    'a part that is far too long',
    { 'tls.crt': 'x'.repeat(20_000) },
    'tls.crt: a part is longer than 16384 bytes',
  ],
  ['a flood', { other: 'x'.repeat(70_000) }, 'it is longer than 65536 bytes'],
] as const) {
  t.test(`a Secret with ${what} is made anew, and the log says so without its content`, async (t) => {
    const world = createWorld()
    const replica = await world.replica()
    const { cert } = replica.served()
    world.objects.secret = { ...world.objects.secret, ...change }
    await replica.look()
    t.equal(replica.served().cert, cert, 'what was served goes on')
    t.ok(isTrusted(world, replica))
    const fresh = await world.replica()
    t.equal(fresh.served().cert, cert, 'and the Secret has it again')
    onlyLine(t, world, 'warn', { message: /made anew/, fields: { problems: [problem] } })
    t.notMatch(JSON.stringify(world.lines), /BEGIN|PRIVATE/)
    t.ok(JSON.stringify(world.objects.secret).length < 20_000)
  })
}

t.test('a certificate for other hosts is replaced', async (t) => {
  const world = createWorld()
  await world.replica()
  const other = await createCertificateKeeper({
    objects: world.objects,
    order: { ...order, hosts: ['webhook.elsewhere.svc'] },
    clock: () => world.seconds * 1000,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  })
  t.match(new X509Certificate(other.served().cert).subjectAltName, 'DNS:webhook.elsewhere.svc')
})

t.test('an overwritten bundle is repaired', async (t) => {
  const world = createWorld()
  const replica = await world.replica()
  world.objects.bundles?.set('modules.sallyport.dev', '')
  t.notOk(isTrusted(world, replica))
  await replica.look()
  t.ok(isTrusted(world, replica))
})

t.test('somebody who keeps overwriting it is told of', async (t) => {
  const world = createWorld()
  const replica = await world.replica()
  for (let each = 0; each < 5; each += 1) {
    world.objects.bundles?.set('modules.sallyport.dev', '')
    await replica.look()
  }
  t.match(world.lines.at(-1), { level: 'warn', message: /keeps overwriting caBundle/ })
})

t.test('not registered yet: it is ready, and the bundle comes with the registration', async (t) => {
  const world = createWorld()
  world.objects.bundles = undefined
  const replica = await world.replica()
  t.equal(replica.missing(), undefined)
  world.objects.bundles = new Map([['modules.sallyport.dev', '']])
  await replica.look()
  t.ok(isTrusted(world, replica))
})

for (const [call, refusal] of [
  ['readSecret', 'get secrets/sallyport-webhook-tls: 403 forbidden'],
  ['writeSecret', 'create secrets: 403 forbidden'],
  ['readBundles', 'get validatingwebhookconfigurations/sallyport: 403 forbidden'],
  ['writeBundle', 'patch validatingwebhookconfigurations/sallyport: 403 forbidden'],
] as const) {
  t.test(`without the right to ${call} it listens, is not ready and says which right`, async (t) => {
    const world = createWorld()
    world.objects.refuses[call] = refusal
    const replica = await world.replica()
    t.match(replica.served().cert, 'BEGIN CERTIFICATE')
    t.equal(replica.missing(), refusal)
    t.match(world.lines.at(-1), { level: 'error', fields: { problem: refusal } })
    delete world.objects.refuses[call]
    await replica.look()
    t.equal(replica.missing(), undefined)
    t.ok(isTrusted(world, replica))
  })
}

t.test('an apiserver that cannot be asked for a while makes no trusted replica unready', async (t) => {
  const world = createWorld()
  const replica = await world.replica()
  world.objects.refuses.readSecret = 'no answer'
  world.objects.refuses.readBundles = 'no answer'
  t.equal(await replica.look(), 5, 'asked again soon')
  t.equal(replica.missing(), undefined)
  world.seconds = start + 90 * day
  t.match(replica.missing(), 'the certificate has ended: no answer')
})
