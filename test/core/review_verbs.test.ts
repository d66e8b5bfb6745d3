// What a review says of the verbs that break the glass: files cannot show who has one.
import t from 'tap'
import { moduleYaml, reviewed } from '../support/reviewed.ts'

const FILE = 'modules/eks.yaml'
const PUBLISHED = ['21.10.1', '21.11.0', '21.12.0']
const before = { [FILE]: moduleYaml(PUBLISHED) }

/** The old file becomes this one. */
function reviewedAs(text: string): ReturnType<typeof reviewed> {
  return reviewed({ before, after: { [FILE]: text } })
}

function wayOutOf({ findings }: ReturnType<typeof reviewed>): string {
  return findings.map(({ wayOut }) => wayOut).join('\n')
}

t.test('who reads of a verb is told how to say that somebody has it', async (t) => {
  t.match(
    wayOutOf(reviewed({ before, after: {}, isPruned: true })),
    /the verb unpublish on this Module \(.*: --may unpublish\)$/,
  )
  const moved = moduleYaml(PUBLISHED, { 'my-org/terraform-aws-eks': 'other/terraform-aws-eks' })
  t.match(wayOutOf(reviewedAs(moved)), /the verb migrate on it \(.*: --may migrate\)/)
  const removed = moduleYaml(['21.10.1', '21.12.0'])
  t.match(wayOutOf(reviewedAs(removed)), /with the verb unpublish \(--may unpublish\)$/)
  const annotated = removed.replace(
    'metadata:\n',
    'metadata:\n  annotations: {sallyport.dev/unpublish: "21.11.0: it leaked"}\n',
  )
  t.match(
    wayOutOf(reviewedAs(annotated)),
    /the annotation is there, .*: say with --may unpublish that they have it$/,
  )
  const allowed = reviewed({ before, after: { [FILE]: annotated }, mayDo: new Set(['unpublish'] as const) })
  t.same(
    allowed.findings.filter(({ severity }) => severity === 'deny'),
    [],
    'as it says',
  )
})
