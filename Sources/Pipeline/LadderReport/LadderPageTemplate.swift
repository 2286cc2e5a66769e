import Ladder
import Pages

/// What the template of the ladder's page names.
struct LadderPage {
  let data: String
  let trainingRows: Int
  let heldOutRows: Int
  /// "pictures" or "rows".
  let rowsName: String
  let pictureSize: Int?
  let dimensions: Int
  let arePictures: Bool
  let summary: [SummaryRow]
  /// K of the importance-weighted columns, and what is said of them.
  let samples: [Int]
  let weighing: String?
  /// Precision and recall of real data in place of draws; nil where neither is measured.
  let overlap: String?
  /// Of the Fréchet distance.
  let components: Int
  let draws: Int
  /// Of training data from the held-out and from all training data.
  let heldOutDistance: String
  let trainingDistance: String
  /// Whether the split holds out other things than it trains on.
  let yardstickRows: Int
  let isShifted: Bool
  let charts: [Figure]
  let steps: Steps?
  let rungs: [RungSection]
  let dalle: DalleSection?

  struct SummaryRow {
    let link: String?
    let rung: String
    let idea: String
    let likelihood: String
    let kind: String
    /// A cell for each K.
    let weighted: [String]
    let heldOut: String
    let training: String
    /// Precision and recall; empty where they have no columns.
    let overlap: [String]
    let parameters: String
    let seconds: String
  }

  struct Steps {
    let areAllMet: Bool
    let items: [Step]
  }

  struct Step {
    let from: String
    let to: String
    let isMet: Bool
    let explanation: String
  }

  struct RungSection {
    let number: Int
    let id: String
    let isFirst: Bool
    let text: RungText
    let facts: [Fact]
    let notes: [String]
    let figures: [Figure]
  }

  struct DalleSection {
    let number: Int
    let areCaptionsNew: Bool
    let facts: [Fact]
    let cards: [Figure]
    let grid: Figure
  }

  static let template = PageTemplate(
    body: """
      <h1>{{#dalle}}From one Gaussian to DALL·E{{/dalle}}{{^dalle}}A ladder of latent-variable models{{/dalle}}</h1>
      <p class="lead">Data: {{data}}, {{trainingRows}} {{rowsName}} for fitting and {{heldOutRows}} held out of \
      {{#pictureSize}}{{.}}×{{.}} pixels in color, {{/pictureSize}}{{dimensions}} numbers each.</p>
      <p>This page fits a family of models to the same data, one after the other. Each can invent new examples, and each exists \
      because of what the one before it could not do.{{#dalle}} At the end stands DALL·E, which draws what a sentence \
      says.{{/dalle}} The models were fitted on the training part of the data; unless it says otherwise, every figure was measured on the held-out \
      part, which none of them has seen.</p>
      {{>summary}}
      <section>
      {{#charts}}
      {{>figure}}
      {{/charts}}
      </section>
      {{#steps}}
      <section><h2>Does every step help?</h2>
      <p>{{#areAllMet}}Theory says which of these should describe held-out data better. Here the figures agree with it \
      everywhere.{{/areAllMet}}{{^areAllMet}}Theory says which of these should describe held-out data better, given data and \
      training enough. Here the figures do not agree with it everywhere, and below is why.{{/areAllMet}}</p>
      <ul class="plain">
      {{#items}}
      <li class="{{^isMet}}un{{/isMet}}met"><b>{{from}} → {{to}} {{#isMet}}✓{{/isMet}}{{^isMet}}✗{{/isMet}} </b>\
      {{explanation}}</li>
      {{/items}}
      </ul></section>
      {{/steps}}
      {{#rungs}}
      {{>rung}}
      {{/rungs}}
      {{#dalle}}
      {{>dalle}}
      {{/dalle}}
      <footer><p>Made by dalle-cli baselines compare. One rung alone: dalle-cli baselines fit MODEL DATA --output FILE, then \
      dalle-cli baselines sample FILE and dalle-cli baselines score FILE DATA.</p></footer>

      """,
    partials: ["summary": summary, "rung": rung, "dalle": dalle])

  private static let summary = """
    <section><h2>All rungs in one table</h2>
    <div class="scroll"><table><thead><tr><th>Rung</th><th>Idea</th>\
    <th>{{#arePictures}}Bits a dimension{{/arePictures}}{{^arePictures}}Log-likelihood, nats{{/arePictures}}</th>\
    <th>Kind</th>{{#samples}}<th>by K = {{.}}</th>{{/samples}}\
    <th>Fréchet distance, held out</th><th>Fréchet distance, training</th>\
    {{#overlap}}<th>Precision</th><th>Recall</th>{{/overlap}}<th>Parameters</th><th>Seconds</th>\
    </tr></thead><tbody>
    {{#summary}}
    <tr><td>{{#link}}<a href="#{{.}}">{{rung}}</a>{{/link}}{{^link}}{{rung}}{{/link}}</td><td>{{idea}}</td>\
    <td>{{likelihood}}</td><td>{{kind}}</td>{{#weighted}}<td>{{.}}</td>{{/weighted}}\
    <td>{{heldOut}}</td><td>{{training}}</td>{{#overlap}}<td>{{.}}</td>{{/overlap}}\
    <td>{{parameters}}</td><td>{{seconds}}</td></tr>
    {{/summary}}
    </tbody></table></div>
    {{#arePictures}}
    <p><b>Bits a dimension</b> say how surprised a model is by the held-out pictures: the number of bits that it would need to \
    store each of a picture's numbers, on average, if it were used to compress them. Uncompressed it is 8. Less is better. \
    “Exact” means that the model's probability could be computed; “bound” that only a limit could, and the truth is that \
    value or less. (A pixel of 256 steps is spread over its step by uniform noise first, so that models of continuous \
    numbers compare with each other.)</p>
    {{/arePictures}}
    {{^arePictures}}
    <p><b>Log-likelihood</b> says how probable a model holds the held-out rows: the mean of log p(x) in nats. More is better. \
    “Exact” means that it could be computed; “bound” that only a lower limit could.</p>
    {{/arePictures}}
    {{#weighing}}
    <p><b>By K draws</b>: {{.}}</p>
    {{/weighing}}
    <p><b>Fréchet distance</b> compares what a model draws with real data, without asking it for probabilities: both are seen \
    through the {{components}} leading principal components of the training data, a Gaussian is fitted to each cloud, and the \
    distance of the two Gaussians is taken. Less is better. {{draws}} draws were taken from every model, because fewer draws \
    alone make the distance larger. It is given to the held-out data and to the training data.</p>
    <p>Real data do not score 0 either: {{yardstickRows}} {{rowsName}} of the training data are {{heldOutDistance}} from the held-out \
    data, and {{trainingDistance}} from all of the training data.\
    {{#isShifted}} The split holds out other things than it trains on, so the training data as a whole are differently distributed \
    from the held-out ones, and a model that draws perfectly what it was fitted to cannot come nearer to these than that. A \
    model that is told by captions what to draw can.{{/isShifted}}</p>
    {{#overlap}}
    <p><b>Precision</b> is the share of a model's draws that lie among training data, in the same space and no further from one of \
    them than its third nearest neighbour is: blur and noise lower it. <b>Recall</b> is the share of training data that lie among \
    the draws in the same sense: what a model has forgotten lowers it. Real data in place of draws have {{.}}.</p>
    {{/overlap}}
    </section>

    """

  private static let rung = """
    <section id="{{id}}"><h2>{{number}}. {{text.title}}</h2>
    <p><b>{{#isFirst}}Why begin here.{{/isFirst}}{{^isFirst}}What it answers.{{/isFirst}} </b>{{text.answers}}</p>
    <p><b>How. </b>{{text.how}}</p>
    <p class="equation">{{{text.equation}}}</p>
    {{>facts}}
    {{#notes}}
    <p class="note">{{.}}</p>
    {{/notes}}
    {{#figures}}
    {{>figure}}
    {{/figures}}
    <p><b>What is still wrong. </b>{{text.weakness}}</p>
    <p class="source">{{text.source}}</p></section>

    """

  private static let dalle = """
    <section id="dalle"><h2>{{number}}. DALL·E</h2>
    <p>DALL·E joins the two ideas at which the ladder arrives: pictures as tokens, and a model that predicts token after token. \
    Stage 1 is a tokenizer such as the VQ-VAE or the discrete VAE above. Stage 2 is a transformer that reads a caption first \
    and then continues with the picture's tokens, so that what is drawn is what the caption says. The captions below are \
    those of held-out pictures{{#areCaptionsNew}}: the model has never seen these combinations{{/areCaptionsNew}}.</p>
    {{>facts}}
    <p><b>Its likelihood. </b>DALL·E gives a probability to a picture's tokens given its caption, not to the pixels: between \
    the two stands the tokenizer, which loses detail, and many pictures share the same tokens. A number of bits a dimension \
    that could stand in the same column as those of the other rungs does therefore not exist. What can be said is how many \
    nats it needs to name a held-out picture's tokens.</p>
    <div class="cards">
    {{#cards}}
    {{>figure}}
    {{/cards}}
    </div>
    {{#grid}}
    {{>figure}}
    {{/grid}}
    </section>

    """
}
