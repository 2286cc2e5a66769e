import Pages

extension EvaluationPage {
  static let template = PageTemplate(
    body: """
      <h1>{{heading}}</h1>
      <p class="lead">Data: {{data}}. \
      {{#hasDrawings}}One picture for each caption, drawn with seed {{seed}} and {{settings}}; none was picked.{{/hasDrawings}}\
      {{^hasDrawings}}The checkpoint has no prior yet: there is what stage 1 keeps of the pictures.{{/hasDrawings}}</p>
      <p>{{#links}}<a href="#{{id}}">{{name}}</a>{{^last()}} · {{/last()}}{{/links}}</p>
      <section class="figures"><h2>Figures</h2>
      {{#figures}}
      {{>table}}
      {{/figures}}
      {{#words}}
      {{>table}}
      <p>{{wordsExplanation}}</p>
      {{/words}}
      <p>{{retrievalExplanation}}</p>
      <p>Below, each caption has these two hits and their ceilings. The numbers under the pictures are differences at \
      32×32 pixels, the root of the mean square in [0, 1]: of the reconstruction and the picture drawn from the real one, \
      and of the nearest picture from the one drawn.</p></section>
      {{#splits}}
      {{>split}}
      {{/splits}}
      {{#forms}}
      <section id="forms"><h2>Training captions in other forms</h2>
      <p>{{shown}} of {{all}}, evenly spread. Where it is wrong, the caption of the nearest picture stands below it.</p>
      {{#rows}}
      <h3>{{caption}}</h3>
      {{>cards}}
      {{/rows}}
      </section>
      {{/forms}}
      {{#everyday}}
      <section id="everyday"><h2>Everyday prompts</h2>
      <p>One draw each, none picked.</p>
      {{>cards}}
      {{#best}}
      <h3>The best of {{candidates}}</h3>
      {{>cards}}
      {{/best}}
      </section>
      {{/everyday}}
      {{#compositions}}
      <section id="compositions"><h2>Pairs never seen</h2>
      <p>The first of each relation, none picked: the true picture, and below it what is drawn. Where that is nearer to another of \
      {{pool}} compositions, the caption of that one stands below it.</p>
      {{#relations}}
      <h3>{{relation}}</h3>
      <div class="cards">
      {{#pairs}}
      <div>{{#pictures}}{{>figure}}{{/pictures}}</div>
      {{/pairs}}
      </div>
      {{/relations}}
      </section>
      {{/compositions}}
      {{#unseenNouns}}
      <section id="unseen"><h2>Nouns never seen</h2>
      <p>One draw each, none picked. Where the nearest picture shows nothing of the same class, its caption stands below.</p>
      {{#classes}}
      <h3>{{caption}}</h3>
      {{>cards}}
      {{/classes}}
      </section>
      {{/unseenNouns}}
      {{#outside}}
      <section id="prompts"><h2>Captions from outside of the data</h2>
      <p>The first drawings of the seed, and below each the picture of the training split nearest to it.</p>
      {{#prompts}}
      <h3>{{caption}}</h3>
      {{#notes}}
      <p class="note">{{.}}</p>
      {{/notes}}
      <div class="cards">
      {{#drawings}}
      <div>{{#pictures}}{{>figure}}{{/pictures}}</div>
      {{/drawings}}
      </div>
      {{/prompts}}
      </section>
      {{/outside}}
      <footer><p>Made by dalle-cli evaluate.</p></footer>

      """,
    partials: [
      "cards": """
      <div class="cards">
      {{#cards}}
      {{>figure}}
      {{/cards}}
      </div>

      """,
      "split": """
      <section id="{{split}}"><h2>{{split}}: {{shown}} of {{pictures}} captions</h2>
      <p>{{^isDrawn}}The pictures, and what stage 1 makes of their tokens.{{/isDrawn}}\
      {{#isDrawn}}The last picture of a row is that of the training split which is nearest to the picture drawn. \
      {{#isTrained}}Where it is the caption's own, the caption was learnt; otherwise it was confused with that one's.\
      {{/isTrained}}{{^isTrained}}No picture of this split was trained on: what a drawing shares with the real picture and \
      not with the last one was composed, what it shares with the last one and not with the real one may be copied.\
      {{/isTrained}}{{/isDrawn}}</p>
      {{#rows}}
      <div class="sheet"><div><b>{{caption}}</b>
      {{#places}}
      <div class="source">{{of}} {{#marks}}\
      <span class="{{^isHit}}un{{/isHit}}met"><b>{{name}} {{#isHit}}✓{{/isHit}}{{^isHit}}✗{{/isHit}}</b></span> \
      {{/marks}}</div>
      {{/places}}
      </div>
      {{#pictures}}
      {{>figure}}
      {{/pictures}}
      </div>
      {{/rows}}
      </section>

      """,
    ])
}
