// Which Application applies an object, as far as files say.
import type { ReviewedObject } from '#core/review/reviewed_object.ts'
import type { ArgoApplication } from './application.ts'

export type KnownApplication = {
  readonly application: ArgoApplication
  /** Named on the command line: it is about the reviewed files whatever their folder is called. */
  readonly isNamed: boolean
}

/** The first whose folder holds the object; with one named Application and no folder that fits, that one. */
export function applicationOf(
  object: Pick<ReviewedObject, 'within'>,
  known: readonly KnownApplication[],
): ArgoApplication | undefined {
  const byFolder = known.find(({ application }) => isInSources(object.within, application))
  if (byFolder !== undefined) return byFolder.application
  const named = known.filter(({ isNamed }) => isNamed)
  return named.length === 1 ? named[0]?.application : undefined
}

export function isInSources(within: string, { sources }: Pick<ArgoApplication, 'sources'>): boolean {
  const folder = within.split('/').slice(0, -1).join('/')
  return sources.some((source) => {
    if (source.madeBy !== '') return false
    // Whatever the template puts there: what is below its fixed beginning may be it.
    const [beginning = ''] = source.folder.split('{{', 1)
    if (beginning !== source.folder) return folder.startsWith(beginning)
    if (folder === source.folder) return true
    return source.isRecursive && (source.folder === '' || folder.startsWith(`${source.folder}/`))
  })
}
