/// What the page says about each rung, for somebody who has not read the code.
package struct RungText {
  /// What the rung is called in a headline.
  package var title: String
  /// What it does in a few words, for the table.
  package var idea: String
  /// Which weakness of the rung before it answers.
  package var answers: String
  /// How.
  package var how: String
  /// What is still wrong with it, which the next one answers.
  package var weakness: String
  /// Markup.
  package var equation: String
  package var source: String
}
