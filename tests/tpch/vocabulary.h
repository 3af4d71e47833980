// The words of the TPC-H specification (section 4.2.2) that queries ask for, and others of them.
#pragma once

#include <array>
#include <string_view>

namespace millrace::tpch {

template <typename... Words>
constexpr std::array<std::string_view, sizeof...(Words)> List(Words... words) {
  return {std::string_view(words)...};
}

inline constexpr auto kRegions = List("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST");

struct Nation {
  std::string_view name;
  int region;
};
inline constexpr std::array<Nation, 25> kNations = {{
    {"ALGERIA", 0},       {"ARGENTINA", 1}, {"BRAZIL", 1}, {"CANADA", 1},
    {"EGYPT", 4},         {"ETHIOPIA", 0},  {"FRANCE", 3}, {"GERMANY", 3},
    {"INDIA", 2},         {"INDONESIA", 2}, {"IRAN", 4},   {"IRAQ", 4},
    {"JAPAN", 2},         {"JORDAN", 4},    {"KENYA", 0},  {"MOROCCO", 0},
    {"MOZAMBIQUE", 0},    {"PERU", 1},      {"CHINA", 2},  {"ROMANIA", 3},
    {"SAUDI ARABIA", 4},  {"VIETNAM", 2},   {"RUSSIA", 3}, {"UNITED KINGDOM", 3},
    {"UNITED STATES", 1},
}};

inline constexpr auto kSegments =
    List("AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY");
inline constexpr auto kPriorities =
    List("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW");
inline constexpr auto kInstructions =
    List("DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN");
inline constexpr auto kModes = List("REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB");

inline constexpr auto kTypeSizes = List("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO");
inline constexpr auto kTypeFinishes =
    List("ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED");
inline constexpr auto kTypeMetals = List("TIN", "NICKEL", "BRASS", "STEEL", "COPPER");
inline constexpr auto kContainerSizes = List("SM", "LG", "MED", "JUMBO", "WRAP");
inline constexpr auto kContainers = List("CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM");

inline constexpr auto kColours = List(
    "almond", "antique", "aquamarine", "azure", "beige", "bisque", "black", "blanched", "blue",
    "blush", "brown", "burlywood", "burnished", "chartreuse", "chiffon", "chocolate", "coral",
    "cornflower", "cornsilk", "cream", "cyan", "dark", "deep", "dim", "dodger", "drab", "firebrick",
    "floral", "forest", "frosted", "gainsboro", "ghost", "goldenrod", "green", "grey", "honeydew",
    "hot", "indian", "ivory", "khaki", "lace", "lavender", "lawn", "lemon", "light", "lime",
    "linen", "magenta", "maroon", "medium", "metallic", "midnight", "mint", "misty", "moccasin",
    "navajo", "navy", "olive", "orange", "orchid", "pale", "papaya", "peach", "peru", "pink",
    "plum", "powder", "puff", "purple", "red", "rose", "rosy", "royal", "saddle", "salmon", "sandy",
    "seashell", "sienna", "sky", "slate", "smoke", "snow", "spring", "steel", "tan", "thistle",
    "tomato", "turquoise", "violet", "wheat", "white", "yellow");

inline constexpr auto kTextWords = List(
    "foxes", "ideas", "theodolites", "pinto beans", "instructions", "dependencies", "excuses",
    "platelets", "asymptotes", "courts", "dolphins", "multipliers", "sauternes", "warthogs",
    "requests", "accounts", "packages", "deposits", "sleep", "wake", "are", "cajole", "haggle",
    "nag", "use", "boost", "affix", "detect", "integrate", "furious", "sly", "careful", "blithe",
    "quick", "fluffy", "slow", "quiet", "ruthless", "special", "regular", "express", "final",
    "ironic", "even", "bold", "silent", "sometimes", "always", "never", "about", "above",
    "according to", "across", "after", "against", "along", "among", "around", "the", "of");

}  // namespace millrace::tpch
