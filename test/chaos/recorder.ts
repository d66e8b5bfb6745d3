// The client's record of a run, as it grows.
import type {
  ClockChange,
  DomainName,
  Hindrance,
  History,
  KeySetLook,
  Lever,
  Mishap,
  Revocation,
  TokenQuestion,
  TokenRequest,
} from './history.ts'

export type Recorder = {
  readonly request: (request: TokenRequest) => void
  readonly look: (look: KeySetLook) => void
  readonly question: (question: TokenQuestion) => void
  readonly clock: (change: ClockChange) => void
  readonly mishap: (mishap: Mishap) => void
  /** Lasts until the returned function is told when it ended. */
  readonly beginHindrance: (hindrance: Omit<Hindrance, 'until'>) => (until: number) => void
  readonly beginRevocation: (revocation: Omit<Revocation, 'until'>) => (until: number) => void
  readonly beginLever: (lever: Omit<Lever, 'until' | 'liftedFrom'>) => {
    readonly settle: (until: number) => void
    readonly lift: (liftedFrom: number) => void
  }
  /** An issued token that brokers are to be asked about again and again. */
  readonly watch: (domain: DomainName, token: string) => void
  readonly watched: (domain: DomainName) => readonly string[]
  /** The youngest token that was received in that domain. */
  readonly latestToken: (domain: DomainName) => string | undefined
  /** By status; `none`: no answer. */
  readonly answers: () => ReadonlyMap<string, number>
  readonly total: () => number
  readonly history: () => Pick<
    History,
    'requests' | 'looks' | 'questions' | 'clocks' | 'revocations' | 'levers' | 'hindrances' | 'mishaps'
  >
}

export function createRecorder(): Recorder {
  const requests: TokenRequest[] = []
  const looks: KeySetLook[] = []
  const questions: TokenQuestion[] = []
  const clocks: ClockChange[] = []
  const mishaps: Mishap[] = []
  const hindrances: { -readonly [Key in keyof Hindrance]: Hindrance[Key] }[] = []
  const revocations: { -readonly [Key in keyof Revocation]: Revocation[Key] }[] = []
  const levers: { -readonly [Key in keyof Lever]: Lever[Key] }[] = []
  const watched = new Map<DomainName, string[]>()
  const latest = new Map<DomainName, string>()
  const answers = new Map<string, number>()

  return {
    request(request) {
      requests.push(request)
      const status = String(request.status ?? 'none')
      answers.set(status, (answers.get(status) ?? 0) + 1)
      if (request.token !== undefined) latest.set(request.domain, request.token)
    },
    look: (look) => void looks.push(look),
    question: (question) => void questions.push(question),
    clock: (change) => void clocks.push(change),
    mishap: (mishap) => void mishaps.push(mishap),
    beginHindrance(hindrance) {
      const begun = { ...hindrance, until: Infinity }
      hindrances.push(begun)
      return (until) => {
        begun.until = until
      }
    },
    beginRevocation(revocation) {
      const begun = { ...revocation, until: Infinity }
      revocations.push(begun)
      return (until) => {
        begun.until = until
      }
    },
    beginLever(lever) {
      const begun = { ...lever, until: Infinity, liftedFrom: Infinity }
      levers.push(begun)
      return {
        settle: (until) => {
          begun.until = until
        },
        lift: (liftedFrom) => {
          begun.liftedFrom = liftedFrom
        },
      }
    },
    watch: (domain, token) => void watched.set(domain, [...(watched.get(domain) ?? []), token].slice(-8)),
    watched: (domain) => watched.get(domain) ?? [],
    latestToken: (domain) => latest.get(domain),
    answers: () => answers,
    total: () => requests.length,
    history: () => ({ requests, looks, questions, clocks, revocations, levers, hindrances, mishaps }),
  }
}
