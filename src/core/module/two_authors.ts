// When a version has two authors: the ledger keeps one, and the request that another replica judged for the same commit had another.
// Two jobs that raced for one version look like that, and so does a review that somebody made up; of neither is it known here which
// one is true.
import { identitiesOf } from './ledger.ts'
import type { Attribution, PublishedFacts } from './ledger.ts'
import { attributionOf, commitsOf } from './ledger_feed.ts'
import type { PublishingObject } from './ledger_feed.ts'

/** What is said of who published, as the ledger keeps it. */
type Testimony = Pick<PublishedFacts, 'by' | 'publisher' | 'sourceId' | 'commit'>

export type TwoAuthors = { readonly version: string; readonly kept: Testimony; readonly judged: Testimony }

export type JudgedCommit = {
  readonly before: PublishingObject | undefined
  readonly after: PublishingObject
  readonly attribution: Attribution
  /** Plain versions that the ledger had when the request was judged: what they say is of another time. */
  readonly known: ReadonlySet<string>
}

/** Of what the commit added, by what the ledger keeps once the commit is recorded. Who is not named contradicts nobody. */
export function twoAuthors(
  { before, after, attribution, known }: JudgedCommit,
  kept: ReadonlyMap<string, PublishedFacts>,
): readonly TwoAuthors[] {
  if (attribution.by === undefined) return []
  const listed = identitiesOf(before)
  const commits = commitsOf(after)
  const { by, publisher, sourceId, commit: told } = attributionOf(after, attribution)
  return [...identitiesOf(after).keys()].flatMap((version) => {
    const facts = kept.get(version)
    if (listed.has(version) || known.has(version) || facts?.by === undefined) return []
    const judged = testimonyOf({ by, publisher, sourceId, commit: commits.get(version) ?? told })
    const stored = testimonyOf(facts)
    const isOne = NAMES.every((name) => stored[name] === judged[name])
    return isOne ? [] : [{ version, kept: stored, judged }]
  })
}

const NAMES = ['by', 'publisher', 'sourceId', 'commit'] as const

type Told = { readonly [Name in keyof Testimony]-?: Testimony[Name] | undefined }

function testimonyOf({ by, publisher, sourceId, commit }: Partial<Told>): Testimony {
  return {
    ...(by === undefined ? {} : { by }),
    ...(publisher === undefined ? {} : { publisher }),
    ...(sourceId === undefined ? {} : { sourceId }),
    ...(commit === undefined ? {} : { commit }),
  }
}
