// Carries core/certificate_plan.ts out: looks at the Secret and at the registered bundle, does what is due by compare-and-set,
// and says what to serve. Any number of replicas do this side by side; whoever is first writes, the others read.
import { planCertificate, secondsToNextLook, servedAt } from '#core/certificate_plan.ts'
import type { CertificateStep } from '#core/certificate_plan.ts'
import { epochSeconds } from '#core/clock.ts'
import type { Clock } from '#core/clock.ts'
import type { Result } from '#core/result.ts'
import type { Log } from '#platform/log.ts'
import type { CertificateObjects, RegisteredBundles } from './certificate_objects.ts'
import { makeGeneration } from './generation.ts'
import type { GenerationOrder, PemGeneration } from './generation.ts'
import { bundleHas, bundleOf, noCertificates, readStored, secretDataOf } from './stored.ts'
import type { StoredCertificates } from './stored.ts'

export type KeeperOptions = {
  readonly objects: CertificateObjects
  readonly order: GenerationOrder
  readonly clock: Clock
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>
}

export type CertificateKeeper = {
  /** Does all that is due; answers with the seconds until the next look. Never rejects. */
  look(): Promise<number>
  served(): PemGeneration
  missing(): string | undefined
}

/** Somebody else writes at the same time, again and again: enough for one look. */
const maxRounds = 12
const secondsAfterTrouble = 5
/** So many bundles in so little time: another writer has its own idea of it. A rotation takes three. */
const fightWrites = 6
const fightSeconds = 600

/** The first look is done when this resolves. */
export async function createCertificateKeeper(options: KeeperOptions): Promise<CertificateKeeper> {
  const { objects, order, clock, log } = options
  const now = (): number => epochSeconds(clock)
  let known: StoredCertificates = noCertificates
  /** Made while the Secret could not be read or written; becomes what is stored when there is nothing. */
  let spare: PemGeneration | undefined
  let trouble: string | undefined
  let isTrusted = false
  const bundleWrites: number[] = []

  const served = (): PemGeneration | undefined => servedAt(known, now()) ?? spare

  /** One round; whether another has to follow. */
  async function round(): Promise<Result<boolean, string>> {
    const secret = await objects.readSecret()
    if (!secret.ok) return secret
    const { stored, problems } = readStored(secret.value?.data ?? {}, order.hosts)
    // What is served goes on being served when the Secret is taken away: it is replaced, not dropped.
    const held = stored.current === undefined ? servedAt(known, now()) : undefined
    const kept = held === undefined ? stored : { ...stored, current: held }
    const isLost = held !== undefined && kept.next === undefined
    const registered = await objects.readBundles()
    const isNextTrusted =
      registered.ok && kept.next !== undefined && hasEverywhere(registered.value, kept.next.generation.ca)
    const step = planCertificate(kept, { isLost, isNextTrusted }, now())
    if (step.do !== 'nothing' || held !== undefined) {
      tell(step, held !== undefined && secret.value === undefined ? ['it was deleted'] : problems)
      const changed = await apply(step, kept)
      const written = await objects.writeSecret(secretDataOf(changed), secret.value?.version)
      if (!written.ok) return written
      if (written.value === 'written') known = changed
      return { ok: true, value: true }
    }
    known = kept
    if (!registered.ok) return registered
    return publish(registered.value)
  }

  async function publish(registered: RegisteredBundles | undefined): Promise<Result<boolean, string>> {
    const bundle = bundleOf(known)
    const own = servedAt(known, now())?.ca ?? ''
    // Nobody calls us before we are registered.
    isTrusted = hasEverywhere(registered, own)
    if (registered === undefined) return { ok: true, value: false }
    if ([...registered.bundles.values()].every((one) => one === bundle)) return { ok: true, value: false }
    const written = await objects.writeBundle(bundle, registered)
    if (!written.ok) return written
    if (written.value === 'written') tellBundle()
    return { ok: true, value: true }
  }

  function tellBundle(): void {
    bundleWrites.push(now())
    if (bundleWrites.length > fightWrites) bundleWrites.shift()
    const isFight = bundleWrites.length === fightWrites && now() - (bundleWrites[0] ?? 0) < fightSeconds
    if (isFight) log.warn({}, 'somebody keeps overwriting caBundle: it must stand in no manifest')
    else log.info({}, 'CA bundle written into the webhook configuration')
  }

  async function apply(step: CertificateStep, kept: StoredCertificates): Promise<StoredCertificates> {
    switch (step.do) {
      case 'nothing':
        return kept
      case 'create':
        return { ...noCertificates, current: await make() }
      case 'announce': {
        const next = { generation: await make(), trustedSince: undefined, dropCurrentAt: step.dropCurrentAt }
        return { ...kept, next }
      }
      case 'trust':
        return kept.next === undefined
          ? kept
          : { ...kept, next: { ...kept.next, trustedSince: step.trustedSince } }
      case 'switch':
        return {
          current: kept.next?.generation,
          next: undefined,
          previousUntil: step.previousUntil,
          previousCa: kept.current?.ca,
        }
      case 'forget':
        return { ...kept, previousUntil: undefined, previousCa: undefined }
    }
  }

  /** What was made and not written, because another was faster, is not made again. */
  async function make(): Promise<PemGeneration> {
    spare ??= await makeGeneration(order, clock)
    return spare
  }

  function tell(step: CertificateStep, problems: readonly string[]): void {
    const fields = { step: step.do, ...(problems.length === 0 ? {} : { problems }) }
    if (problems.length === 0) log.info(fields, 'certificate')
    else log.warn(fields, 'the Secret of the certificate is lost or broken: made anew')
  }

  async function look(): Promise<number> {
    const before = trouble
    trouble = await settle()
    if (trouble === undefined) {
      if (before !== undefined) log.info({}, 'certificate: in order again')
      spare = undefined
      return secondsToNextLook(known, now())
    }
    if (trouble !== before) log.error({ problem: trouble }, 'certificate: cannot be kept')
    if (served() === undefined) await make()
    return secondsAfterTrouble
  }

  async function settle(): Promise<string | undefined> {
    for (let rounds = 0; rounds < maxRounds; rounds += 1) {
      const result = await round()
      if (!result.ok) return result.denial
      if (!result.value) return undefined
    }
    return 'others write the Secret or the webhook configuration all the time'
  }

  await look()
  return {
    look,
    served: () => {
      const generation = served()
      if (generation === undefined) throw new Error('a keeper has looked before it is asked')
      return generation
    },
    missing() {
      const own = servedAt(known, now())
      if (own === undefined || !isTrusted)
        return trouble ?? 'the CA bundle is not in the webhook configuration'
      if (own.endsAt <= now())
        return `the certificate has ended${trouble === undefined ? '' : `: ${trouble}`}`
      return undefined
    },
  }
}

function hasEverywhere(registered: RegisteredBundles | undefined, ca: string): boolean {
  return registered === undefined || [...registered.bundles.values()].every((one) => bundleHas(one, ca))
}
